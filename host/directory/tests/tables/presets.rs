//! Presets: what is kept under a name, and for whom.

use exeat_directory::presets::{MAX_PRESETS, PresetWritten};

use crate::both::{TestDatabase, record};

on_both! {
    a_preset_is_its_tenants_and_the_last_word_counts,
    a_tenant_has_no_presets_without_end,
}

async fn a_preset_is_its_tenants_and_the_last_word_counts(database: TestDatabase) {
    let (directory, acme, globex) = database.with_tenants().await;
    let write = async |request: &str| {
        directory
            .write_preset(&acme, "monthly", request, &record("x"))
            .await
            .unwrap()
    };
    assert_eq!(write(r#"{"format":"csv"}"#).await, PresetWritten::Made);
    assert_eq!(write(r#"{"format":"ndjson"}"#).await, PresetWritten::Changed);
    let kept = directory.preset(&acme, "monthly").await.unwrap().unwrap();
    assert_eq!(kept.request, r#"{"format":"ndjson"}"#);
    assert!(directory.preset(&globex, "monthly").await.unwrap().is_none());
    assert!(
        !directory
            .delete_preset(&globex, "monthly", &record("x"))
            .await
            .unwrap()
    );
    assert!(
        directory
            .delete_preset(&acme, "monthly", &record("x"))
            .await
            .unwrap()
    );
    assert!(
        !directory
            .delete_preset(&acme, "monthly\0", &record("x"))
            .await
            .unwrap()
    );
    assert!(directory.presets(&acme).await.unwrap().is_empty());
}

async fn a_tenant_has_no_presets_without_end(database: TestDatabase) {
    let (directory, acme, _) = database.with_tenants().await;
    for number in 0..MAX_PRESETS {
        let written = directory
            .write_preset(&acme, &format!("p{number}"), "{}", &record("x"))
            .await;
        assert_eq!(written.unwrap(), PresetWritten::Made);
    }
    let over = directory
        .write_preset(&acme, "over", "{}", &record("x"))
        .await
        .unwrap();
    assert_eq!(over, PresetWritten::TooMany);
    let again = directory
        .write_preset(&acme, "p0", "{}", &record("x"))
        .await
        .unwrap();
    assert_eq!(again, PresetWritten::Changed);
}
