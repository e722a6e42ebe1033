//! `Hosting`.

mod reference {
    use ops_conformance::memory::MemoryHostingFixture;

    ops_conformance::hosting!(MemoryHostingFixture::new());
}
