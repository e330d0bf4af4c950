//! Tokens: who holds one, and for how long.

use std::collections::BTreeSet;

use exeat_directory::now_us;
use exeat_directory::tokens::Scope;

use crate::both::TestDatabase;

on_both! {
    a_token_is_its_tenants_until_it_expires_or_is_revoked,
    tokens_are_listed_without_what_they_are,
}

const MINUTE_US: i64 = 60_000_000;

async fn a_token_is_its_tenants_until_it_expires_or_is_revoked(database: TestDatabase) {
    let (directory, acme, globex) = database.with_tenants().await;
    let scopes = BTreeSet::from([Scope::ReadUsers, Scope::ManagePlugins]);
    let make = async |tenant, expires_at| {
        let token = directory
            .create_token(tenant, "watcher", &scopes, expires_at)
            .await;
        token.unwrap()
    };
    let holder = async |secret: &str| {
        let bearer = directory.authenticate(secret).await.unwrap();
        bearer.map(|bearer| bearer.tenant)
    };
    let endless = make(&acme, None).await;
    let theirs = make(&globex, Some(now_us() + MINUTE_US)).await;
    let over = make(&acme, Some(now_us() - 1)).await;
    assert_eq!(holder(&endless.secret).await, Some(acme.clone()));
    assert_eq!(holder(&theirs.secret).await, Some(globex.clone()));
    assert_eq!(holder(&over.secret).await, None);
    for unknown in [
        "",
        "exeat_",
        "exeat_\0",
        &endless.token_id,
        &endless.secret.to_lowercase(),
    ] {
        assert_eq!(holder(unknown).await, None);
    }
    let bearer = directory.authenticate(&endless.secret).await.unwrap().unwrap();
    assert_eq!(
        (bearer.actor().as_str(), &bearer.scopes),
        ("token:watcher", &scopes)
    );

    assert!(!directory.revoke_token(&globex, &endless.token_id).await.unwrap());
    assert!(!directory.revoke_token(&acme, "tok_\0").await.unwrap());
    assert_eq!(holder(&endless.secret).await, Some(acme.clone()));
    assert!(directory.revoke_token(&acme, &endless.token_id).await.unwrap());
    assert!(!directory.revoke_token(&acme, &endless.token_id).await.unwrap());
    // Another process, too, knows at once.
    let elsewhere = database.open().await;
    assert!(elsewhere.authenticate(&endless.secret).await.unwrap().is_none());
}

async fn tokens_are_listed_without_what_they_are(database: TestDatabase) {
    let (directory, acme, globex) = database.with_tenants().await;
    let scopes = BTreeSet::from([Scope::ReadUsers, Scope::CreateExports]);
    let mut made = Vec::new();
    for name in ["first", "second", "third", "fourth"] {
        let token = directory
            .create_token(&acme, name, &scopes, Some(now_us() + MINUTE_US))
            .await;
        made.push(token.unwrap());
    }
    directory.authenticate(&made[1].secret).await.unwrap();
    directory.revoke_token(&acme, &made[2].token_id).await.unwrap();
    let listed = directory.tokens(&acme).await.unwrap();
    let names: Vec<&str> = listed.iter().map(|token| token.name.as_str()).collect();
    assert_eq!(names, ["first", "second", "third", "fourth"], "oldest first");
    let used: Vec<bool> = listed.iter().map(|token| token.last_used_at.is_some()).collect();
    assert_eq!(used, [false, true, false, false]);
    let revoked: Vec<bool> = listed.iter().map(|token| token.revoked_at.is_some()).collect();
    assert_eq!(revoked, [false, false, true, false]);
    assert!(listed.iter().all(|token| token.expires_at.is_some()));
    assert_eq!(listed[0].scopes, "read:users create:exports");
    let shown = format!("{listed:?}");
    assert!(made.iter().all(|token| !shown.contains(&token.secret)));
    assert!(directory.tokens(&globex).await.unwrap().is_empty());
}
