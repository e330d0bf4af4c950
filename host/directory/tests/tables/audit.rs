//! The audit trail.

use exeat_directory::audit::{self, AuditRecord};
use tokio::task::JoinSet;

use crate::both::{TestDatabase, record};

on_both! {
    records_come_back_as_they_were_made_newest_first,
    records_that_are_made_at_once_all_stay,
}

async fn records_come_back_as_they_were_made_newest_first(database: TestDatabase) {
    let (directory, acme, globex) = database.with_tenants().await;
    let detail =
        serde_json::json!({ "fields": ["email", "ü\u{0}\u{1f}"], "rows": 1_u64 << 60, "filter": null });
    for number in 0..5 {
        let made = AuditRecord {
            actor: format!("token:{number}"),
            action: audit::STREAM,
            job_id: (number % 2 == 0).then(|| format!("exp_{number}")),
            detail: detail.clone(),
        };
        directory.record(&acme, &made).await.unwrap();
        directory.record(&globex, &record(audit::DOWNLOAD)).await.unwrap();
    }
    let trail = directory.audit(&acme, 3).await.unwrap();
    let actors: Vec<&str> = trail.iter().map(|entry| entry.actor.as_str()).collect();
    assert_eq!(actors, ["token:4", "token:3", "token:2"]);
    assert_eq!(
        (trail[0].job_id.as_deref(), &trail[1].job_id),
        (Some("exp_4"), &None)
    );
    assert!(
        trail
            .iter()
            .all(|entry| entry.action == audit::STREAM && entry.detail == detail)
    );
    assert!(trail.windows(2).all(|pair| pair[0].audit_id > pair[1].audit_id));
    assert_eq!(directory.audit(&globex, 100).await.unwrap().len(), 5);
}

async fn records_that_are_made_at_once_all_stay(database: TestDatabase) {
    let (directory, acme, _) = database.with_tenants().await;
    let mut makers = JoinSet::new();
    for handle in [directory.clone(), database.open().await] {
        for _ in 0..20 {
            let (handle, acme) = (handle.clone(), acme.clone());
            makers.spawn(async move { handle.record(&acme, &record(audit::DOWNLOAD)).await });
        }
    }
    makers.join_all().await.into_iter().for_each(Result::unwrap);
    let trail = directory.audit(&acme, 100).await.unwrap();
    assert_eq!(trail.len(), 40);
    assert!(trail.windows(2).all(|pair| pair[0].audit_id > pair[1].audit_id));
}
