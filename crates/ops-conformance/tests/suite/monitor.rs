//! `Monitor`.

mod reference {
    use ops_conformance::memory::MemoryMonitorFixture;

    ops_conformance::monitor!(MemoryMonitorFixture::new());
}
