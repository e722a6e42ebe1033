//! `ObjectStore`.

mod reference {
    use ops_conformance::memory::MemoryObjectStoreFixture;

    ops_conformance::object_store!(MemoryObjectStoreFixture::new());
}
