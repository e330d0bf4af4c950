//! Tenants.

use exeat_directory::DirectoryError;
use tokio::task::JoinSet;

use crate::both::TestDatabase;

on_both! {
    a_tenant_is_made_once_and_keeps_its_key,
    a_tenant_that_many_make_at_once_is_one,
    names_are_plain,
}

async fn a_tenant_is_made_once_and_keeps_its_key(database: TestDatabase) {
    let (directory, acme, globex) = database.with_tenants().await;
    let (again, created) = directory.ensure_tenant("acme").await.unwrap();
    assert!(!created);
    assert_eq!(again, acme);
    assert_eq!(directory.tenant("acme").await.unwrap(), acme);
    assert_eq!(acme.name(), "acme");
    assert_ne!(acme.key(), globex.key());
    assert_ne!(acme.key(), [0; 32]);
    // In the order of bytes, whatever the server's language.
    for name in ["a-z", "a0", "z", "aa"] {
        assert!(directory.ensure_tenant(name).await.unwrap().1);
    }
    let expected = ["a-z", "a0", "aa", "acme", "globex", "z"];
    assert_eq!(directory.tenant_names().await.unwrap(), expected);
}

async fn a_tenant_that_many_make_at_once_is_one(database: TestDatabase) {
    let mut makers = JoinSet::new();
    for handle in [database.open().await, database.open().await] {
        for _ in 0..4 {
            let handle = handle.clone();
            makers.spawn(async move { handle.ensure_tenant("acme").await.unwrap() });
        }
    }
    let made = makers.join_all().await;
    assert_eq!(made.iter().filter(|(_, created)| *created).count(), 1);
    assert!(made.iter().all(|(tenant, _)| *tenant == made[0].0));
}

async fn names_are_plain(database: TestDatabase) {
    let directory = database.open().await;
    let long = "a".repeat(65);
    for name in ["", "a.b", "-acme", "a/b", "a b", "ü", "a\0", &long] {
        let made = directory.ensure_tenant(name).await;
        assert!(matches!(made, Err(DirectoryError::TenantName)), "{name:?}");
        let found = directory.tenant(name).await;
        assert!(matches!(found, Err(DirectoryError::UnknownTenant(_))), "{name:?}");
    }
    assert!(directory.ensure_tenant(&long[..64]).await.unwrap().1);
}
