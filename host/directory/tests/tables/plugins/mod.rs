//! What the directory promises of plugins that tenants uploaded.

mod house;
mod leavings;

use exeat_directory::DirectoryError;
use exeat_directory::audit;
use exeat_directory::jobs::{JobState, NewJob, Priority, QueueLimits, new_job_id};
use exeat_directory::plugins::{Deletion, MAX_PLUGIN_VERSIONS, PluginState, Registered};

use crate::both::{TestDatabase, record};
use house::{House, admitted, digest, refused, upload};

on_both! {
    an_uploaded_version_is_immutable,
    a_refused_version_can_be_replaced,
    versions_are_semantic_and_finite,
    the_latest_version_is_the_highest_admitted_release,
    traps_quarantine_a_plugin_and_enabling_forgets_them,
    versions_of_the_same_bytes_are_quarantined_together,
    a_plugin_is_not_deleted_while_a_job_asks_for_it,
}

const LEASE: std::time::Duration = std::time::Duration::from_secs(60);

async fn an_uploaded_version_is_immutable(database: TestDatabase) {
    let house = House::new(database).await;
    assert_eq!(house.register("1.0.0", &digest('a')).await, Registered::New);
    let admitting = house.directory.admitting_plugins().await.unwrap();
    assert_eq!(admitting.len(), 1);
    assert_eq!(admitting[0].0, house.acme);
    assert_eq!(admitting[0].1, house.plugin("1.0.0").await);
    assert_eq!(
        house.register("1.0.0", &digest('a')).await,
        Registered::Same(house.plugin("1.0.0").await)
    );

    assert!(
        !house.end("1.0.0", &digest('b'), &admitted()).await,
        "other bytes"
    );
    assert!(house.end("1.0.0", &digest('a'), &admitted()).await);
    assert!(
        !house.end("1.0.0", &digest('a'), &refused()).await,
        "it has ended"
    );
    assert!(house.directory.admitting_plugins().await.unwrap().is_empty());
    let plugin = house.plugin("1.0.0").await;
    assert_eq!(plugin.state, PluginState::Admitted);
    assert_eq!(plugin.summary.as_deref(), Some("Masks names"));
    assert_eq!(plugin.config_schema.as_deref(), Some(r#"{"type":"object"}"#));
    assert_eq!(plugin.reads, ["email", "name"]);
    assert_eq!(plugin.admission.as_deref(), Some(r#"{"compile_ms":12}"#));
    assert_eq!((plugin.kind.as_str(), plugin.bytes), ("transform", 1_234));

    for state in [
        PluginState::Disabled,
        PluginState::Quarantined,
        PluginState::Admitted,
    ] {
        let any = [
            PluginState::Admitted,
            PluginState::Disabled,
            PluginState::Quarantined,
        ];
        assert!(house.set_state("1.0.0", &any, state).await);
        let plugin = house.plugin("1.0.0").await;
        assert_eq!(
            house.register("1.0.0", &digest('b')).await,
            Registered::Different(plugin.clone())
        );
        assert_eq!(
            house.register("1.0.0", &digest('a')).await,
            Registered::Same(plugin)
        );
    }
    let uploads = house.audited().await;
    assert_eq!(
        uploads
            .iter()
            .filter(|action| *action == audit::PLUGIN_UPLOADED)
            .count(),
        1
    );
}

async fn a_refused_version_can_be_replaced(database: TestDatabase) {
    let house = House::new(database).await;
    for bytes in ['a', 'a', 'b'] {
        assert_eq!(house.register("1.0.0", &digest(bytes)).await, Registered::New);
        assert!(house.end("1.0.0", &digest(bytes), &refused()).await);
        let plugin = house.plugin("1.0.0").await;
        assert_eq!(plugin.state, PluginState::Refused);
        assert_eq!(plugin.reason_code.as_deref(), Some("imports"));
    }
    assert!(
        !house
            .set_state("1.0.0", &[PluginState::Refused], PluginState::Admitted)
            .await,
        "only an admission admits"
    );
    assert_eq!(house.register("1.0.0", &digest('c')).await, Registered::New);
    let plugin = house.plugin("1.0.0").await;
    assert_eq!((plugin.state, &plugin.reason), (PluginState::Admitting, &None));
    assert_eq!(plugin.digest, digest('c'));
    assert_eq!(house.directory.plugins(&house.acme).await.unwrap(), [plugin]);
}

async fn versions_are_semantic_and_finite(database: TestDatabase) {
    let house = House::new(database).await;
    let audited = record(audit::PLUGIN_UPLOADED);
    for version in ["", "1", "1.0", "v1.0.0", "1.0.0 ", "01.0.0"] {
        let refused = house
            .directory
            .register_plugin(&house.acme, &upload("mask", version, &digest('a')), &audited)
            .await;
        assert!(
            matches!(refused, Err(DirectoryError::PluginVersion)),
            "{version:?}"
        );
    }
    house.register("0.0.0", &digest('a')).await;
    house
        .database
        .sql(
            "INSERT INTO plugins (tenant_id, name, version, kind, digest, bytes, state, uploader, uploaded_at, changed_at)
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
             SELECT tenant_id, name, '0.0.' || i, kind, digest, bytes, 'refused', uploader, uploaded_at, changed_at
             FROM plugins, n",
        )
        .await;
    let all = house.directory.plugins(&house.acme).await.unwrap();
    assert_eq!(all.len(), MAX_PLUGIN_VERSIONS as usize);
    assert_eq!(house.register("1.0.0", &digest('b')).await, Registered::TooMany);
    assert_eq!(
        house.register("0.0.7", &digest('b')).await,
        Registered::New,
        "it replaces one"
    );
    assert_eq!(house.audited().await.len(), 2);
}

async fn the_latest_version_is_the_highest_admitted_release(database: TestDatabase) {
    let house = House::new(database).await;
    assert_eq!(house.latest().await, None);
    house.admit("2.0.0-rc.2", &digest('1')).await;
    house.admit("2.0.0-rc.10", &digest('2')).await;
    assert_eq!(house.latest().await.as_deref(), Some("2.0.0-rc.10"));
    house.admit("1.10.0", &digest('3')).await;
    house.admit("1.9.0", &digest('4')).await;
    assert_eq!(house.latest().await.as_deref(), Some("1.10.0"));
    house.register("3.0.0", &digest('5')).await;
    assert_eq!(
        house.latest().await.as_deref(),
        Some("1.10.0"),
        "not admitted yet"
    );
    let admitted = [PluginState::Admitted];
    assert!(house.set_state("1.10.0", &admitted, PluginState::Disabled).await);
    assert!(!house.set_state("1.10.0", &admitted, PluginState::Disabled).await);
    assert_eq!(house.latest().await.as_deref(), Some("1.9.0"));

    let audited = record(audit::PLUGIN_UPLOADED);
    house
        .directory
        .register_plugin(&house.acme, &upload("drop", "0.1.0", &digest('6')), &audited)
        .await
        .unwrap();
    let all = house.directory.plugins(&house.acme).await.unwrap();
    let all: Vec<String> = all
        .iter()
        .map(|plugin| format!("{}@{}", plugin.name, plugin.version))
        .collect();
    let expected = [
        "drop@0.1.0",
        "mask@3.0.0",
        "mask@2.0.0-rc.10",
        "mask@2.0.0-rc.2",
        "mask@1.10.0",
        "mask@1.9.0",
    ];
    assert_eq!(all, expected);
}

async fn traps_quarantine_a_plugin_and_enabling_forgets_them(database: TestDatabase) {
    let house = House::new(database).await;
    let bytes = digest('a');
    assert_eq!(house.trap(&bytes).await, None, "there is no such plugin");
    house.admit("1.0.0", &bytes).await;
    for _ in 0..2 {
        assert_eq!(house.trap(&bytes).await, Some(PluginState::Admitted));
    }
    assert_eq!(house.trap(&bytes).await, Some(PluginState::Quarantined));
    assert_eq!(house.trap(&bytes).await, Some(PluginState::Quarantined));
    let plugin = house.plugin("1.0.0").await;
    assert_eq!(
        (plugin.traps, plugin.reason_code.as_deref()),
        (4, Some("trapped"))
    );
    let trail = house.directory.audit(&house.acme, 10).await.unwrap();
    assert_eq!(trail.len(), 3, "one record of the quarantine");
    assert_eq!(trail[0].action, audit::PLUGIN_QUARANTINED);
    assert_eq!(
        (trail[0].actor.as_str(), trail[0].job_id.as_deref()),
        ("token:ops", Some("exp_1"))
    );
    assert_eq!(trail[0].detail["version"], "1.0.0");
    assert_eq!(trail[0].detail["traps"], 3);

    assert!(
        house
            .set_state("1.0.0", &[PluginState::Quarantined], PluginState::Admitted)
            .await
    );
    let plugin = house.plugin("1.0.0").await;
    assert_eq!((plugin.traps, plugin.reason_code, plugin.reason), (0, None, None));
    assert_eq!(house.trap(&bytes).await, Some(PluginState::Admitted));

    let quarantine = house
        .directory
        .quarantine_plugin(
            &house.acme,
            &bytes,
            "credential",
            "its output had a credential",
            "token:ops",
            "exp_2",
        )
        .await;
    assert_eq!(quarantine.unwrap(), Some(PluginState::Quarantined));
    assert_eq!(house.plugin("1.0.0").await.traps, 1);
    assert_eq!(house.audited().await[0], audit::PLUGIN_QUARANTINED);
}

async fn versions_of_the_same_bytes_are_quarantined_together(database: TestDatabase) {
    let house = House::new(database).await;
    house.admit("1.0.0", &digest('a')).await;
    house.admit("1.0.1", &digest('a')).await;
    for _ in 0..3 {
        house.trap(&digest('a')).await;
    }
    for version in ["1.0.0", "1.0.1"] {
        assert_eq!(house.plugin(version).await.state, PluginState::Quarantined);
    }
}

async fn a_plugin_is_not_deleted_while_a_job_asks_for_it(database: TestDatabase) {
    let house = House::new(database).await;
    let (directory, acme) = (&house.directory, &house.acme);
    house.admit("1.0.0", &digest('a')).await;
    assert_eq!(house.delete("9.9.9").await, Deletion::NotFound);

    let request = |digest: String| serde_json::json!({ "transforms": [digest] }).to_string();
    let job_id = new_job_id();
    for (tenant, id, bytes) in [
        (acme, &job_id, 'a'),
        (acme, &new_job_id(), 'b'),
        (&house.globex, &new_job_id(), 'a'),
    ] {
        let job = NewJob {
            job_id: id.clone(),
            actor: "token:ops".to_owned(),
            request: request(digest(bytes)),
            priority: Priority::Normal,
            timeout: LEASE,
            retention: LEASE,
            sensitive: false,
            idempotency: None,
        };
        directory
            .queue_job(tenant, &job, QueueLimits::default())
            .await
            .unwrap();
    }
    let in_use = Deletion::InUse {
        job_id: job_id.clone(),
    };
    assert_eq!(house.delete("1.0.0").await, in_use);
    let claimed = directory.claim_job("host/1", LEASE, QueueLimits::default()).await;
    let job = claimed.unwrap().unwrap();
    assert_eq!(job.job_id, job_id);
    assert_eq!(house.delete("1.0.0").await, in_use);
    assert_eq!(house.plugin("1.0.0").await.state, PluginState::Admitted);
    assert!(!house.audited().await.contains(&audit::PLUGIN_DELETED.to_owned()));

    let failed = record(audit::BULK_EXPORT_FAILED);
    directory
        .end_job(&job, JobState::Failed, "x", "x", &failed)
        .await
        .unwrap();
    let gone = Deletion::Deleted {
        digest: digest('a'),
        unused: true,
    };
    assert_eq!(house.delete("1.0.0").await, gone);
    assert_eq!(house.audited().await[0], audit::PLUGIN_DELETED);
    assert_eq!(house.delete("1.0.0").await, Deletion::NotFound);
}
