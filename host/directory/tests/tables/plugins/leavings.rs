//! Logs, metrics and limits, and the walls between tenants.

use exeat_directory::audit;
use exeat_directory::plugins::{
    Deletion, MAX_LOG_LINES, NewLogLine, PluginLimitRows, PluginState, Registered,
};

use super::house::{House, admitted, digest, lines, upload};
use crate::both::{TestDatabase, record};

on_both! {
    what_a_plugin_left_goes_with_the_last_of_it,
    metrics_that_are_merged_at_once_all_count,
    a_log_keeps_only_its_newest_lines,
    another_tenant_sees_and_changes_nothing,
    limits_come_back_as_they_were_set,
    nothing_changes_that_cannot_be_audited,
}

async fn what_a_plugin_left_goes_with_the_last_of_it(database: TestDatabase) {
    let house = House::new(database).await;
    let (directory, acme, bytes) = (&house.directory, &house.acme, digest('a'));
    house.admit("1.0.0", &bytes).await;
    house.admit("1.0.1", &bytes).await;
    house.admit("2.0.0", &digest('b')).await;
    let audited = record(audit::PLUGIN_LIMITS_SET);
    directory
        .set_plugin_limits(acme, "mask", Some("{}"), &audited)
        .await
        .unwrap();
    directory
        .append_plugin_log(acme, &bytes, "exp_1", &lines(0..3))
        .await
        .unwrap();
    for expected in [r#"{"runs":1}"#, r#"{"runs":2}"#] {
        let merge = |before: Option<&str>| if before.is_none() { 1 } else { 2 };
        directory
            .merge_plugin_metrics(acme, &bytes, "mask", "1.0.0", |before| {
                format!(r#"{{"runs":{}}}"#, merge(before))
            })
            .await
            .unwrap();
        assert_eq!(
            directory.plugin_metrics(acme, &bytes).await.unwrap().as_deref(),
            Some(expected)
        );
    }

    // Version, unused, lines, metrics, limits.
    for (version, unused, lines, limits) in [
        ("1.0.0", false, 3, true),
        ("1.0.1", true, 0, true),
        ("2.0.0", true, 0, false),
    ] {
        assert!(
            matches!(house.delete(version).await, Deletion::Deleted { unused: found, .. } if found == unused)
        );
        let log = directory.plugin_log(acme, &bytes, None, 10).await.unwrap();
        assert_eq!(log.len(), lines, "{version}");
        let metrics = directory.plugin_metrics(acme, &bytes).await.unwrap();
        assert_eq!(metrics.is_some(), lines > 0, "{version}");
        let set = directory.plugin_limits(acme, "mask").await.unwrap();
        assert_eq!(set.plugin.is_some(), limits, "{version}");
    }
}

async fn metrics_that_are_merged_at_once_all_count(database: TestDatabase) {
    let house = House::new(database).await;
    let merges: Vec<_> = (0..20)
        .map(|_| {
            let (directory, acme) = (house.directory.clone(), house.acme.clone());
            tokio::spawn(async move {
                let add_one = |before: Option<&str>| {
                    let runs: u32 = before.map_or(0, |before| before.parse().unwrap());
                    (runs + 1).to_string()
                };
                directory
                    .merge_plugin_metrics(&acme, &digest('a'), "mask", "1.0.0", add_one)
                    .await
            })
        })
        .collect();
    for merge in merges {
        merge.await.unwrap().unwrap();
    }
    let metrics = house.directory.plugin_metrics(&house.acme, &digest('a')).await;
    assert_eq!(metrics.unwrap().as_deref(), Some("20"));
}

async fn a_log_keeps_only_its_newest_lines(database: TestDatabase) {
    let house = House::new(database).await;
    let (directory, acme, bytes) = (&house.directory, &house.acme, digest('a'));
    let append = async |bytes: &str, lines: &[NewLogLine]| {
        directory
            .append_plugin_log(acme, bytes, "exp_1", lines)
            .await
            .unwrap();
    };
    append(&digest('b'), &lines(0..1)).await;
    append(&bytes, &[]).await;
    append(&bytes, &lines(0..10)).await;
    append(&bytes, &lines(10..MAX_LOG_LINES + 5)).await;
    let log = directory.plugin_log(acme, &bytes, None, 100_000).await.unwrap();
    assert_eq!(log.len(), MAX_LOG_LINES as usize);
    assert_eq!((log[0].text.as_str(), log[0].at), ("line 5", 5));
    append(&bytes, &lines(0..2 * MAX_LOG_LINES)).await;
    let log = directory.plugin_log(acme, &bytes, None, 3).await.unwrap();
    let newest: Vec<i64> = log.iter().map(|entry| entry.at).collect();
    assert_eq!(newest, [9_997, 9_998, 9_999]);
    assert_eq!((log[0].level.as_str(), log[0].job_id.as_str()), ("info", "exp_1"));
    let after = directory
        .plugin_log(acme, &bytes, Some(log[1].log_id), 3)
        .await
        .unwrap();
    assert_eq!(after, log[2..]);
    let other = directory.plugin_log(acme, &digest('b'), None, 10).await.unwrap();
    assert_eq!(other.len(), 1);
}

async fn another_tenant_sees_and_changes_nothing(database: TestDatabase) {
    let house = House::new(database).await;
    let (directory, globex, bytes) = (&house.directory, &house.globex, digest('a'));
    house.admit("1.0.0", &bytes).await;
    let audited = record(audit::PLUGIN_DELETED);
    let acme = &house.acme;
    directory
        .append_plugin_log(acme, &bytes, "exp_1", &lines(0..1))
        .await
        .unwrap();
    directory
        .merge_plugin_metrics(acme, &bytes, "mask", "1.0.0", |_| "{}".to_owned())
        .await
        .unwrap();
    for name in ["", "mask"] {
        directory
            .set_plugin_limits(acme, name, Some("{}"), &audited)
            .await
            .unwrap();
    }

    assert_eq!(directory.plugins(globex).await.unwrap(), []);
    assert_eq!(directory.plugin(globex, "mask", "1.0.0").await.unwrap(), None);
    assert_eq!(directory.plugin_by_digest(globex, &bytes).await.unwrap(), None);
    assert_eq!(directory.latest_plugin(globex, "mask").await.unwrap(), None);
    assert_eq!(directory.plugin_log(globex, &bytes, None, 10).await.unwrap(), []);
    assert_eq!(directory.plugin_metrics(globex, &bytes).await.unwrap(), None);
    assert_eq!(
        directory.plugin_limits(globex, "mask").await.unwrap(),
        PluginLimitRows::default()
    );
    let states = [PluginState::Admitted];
    let changed = directory
        .set_plugin_state(
            globex,
            "mask",
            "1.0.0",
            &states,
            PluginState::Disabled,
            None,
            &audited,
        )
        .await;
    assert!(!changed.unwrap());
    let trapped = directory
        .note_plugin_trap(globex, &bytes, 1, "c", "r", "a", "j")
        .await;
    assert_eq!(trapped.unwrap(), None);
    let deleted = directory.delete_plugin(globex, "mask", "1.0.0", &audited).await;
    assert_eq!(deleted.unwrap(), Deletion::NotFound);

    // The same bytes are there for both, and neither takes them from the other.
    let theirs = directory
        .register_plugin(globex, &upload("mask", "1.0.0", &bytes), &audited)
        .await;
    assert_eq!(theirs.unwrap(), Registered::New);
    let deleted = directory.delete_plugin(globex, "mask", "1.0.0", &audited).await;
    let kept = Deletion::Deleted {
        digest: bytes.clone(),
        unused: false,
    };
    assert_eq!(deleted.unwrap(), kept);
    assert_eq!(house.plugin("1.0.0").await.state, PluginState::Admitted);
    assert_eq!(
        directory.plugin_log(acme, &bytes, None, 10).await.unwrap().len(),
        1
    );
}

async fn limits_come_back_as_they_were_set(database: TestDatabase) {
    let house = House::new(database).await;
    let audited = record(audit::PLUGIN_LIMITS_SET);
    let set = async |name: &str, limits: Option<&str>| {
        house
            .directory
            .set_plugin_limits(&house.acme, name, limits, &audited)
            .await
            .unwrap();
    };
    let get = async |name: &str| {
        let limits = house.directory.plugin_limits(&house.acme, name).await.unwrap();
        (limits.tenant, limits.plugin)
    };
    let (all, own) = (r#"{"memory":1}"#.to_owned(), r#"{"memory":2}"#.to_owned());
    assert_eq!(get("mask").await, (None, None));
    set("", Some(&all)).await;
    set("mask", Some("{}")).await;
    set("mask", Some(&own)).await;
    assert_eq!(get("mask").await, (Some(all.clone()), Some(own)));
    assert_eq!(get("drop").await, (Some(all.clone()), None));
    assert_eq!(get("").await, (Some(all), None));
    let broken = house
        .directory
        .set_plugin_limits(&house.acme, "mask", Some("{"), &audited)
        .await;
    assert!(broken.is_err(), "it is no JSON");
    set("", None).await;
    set("mask", None).await;
    assert_eq!(get("mask").await, (None, None));
    assert_eq!(house.audited().await, [audit::PLUGIN_LIMITS_SET; 5]);
}

async fn nothing_changes_that_cannot_be_audited(database: TestDatabase) {
    let house = House::new(database).await;
    let (directory, acme, bytes) = (&house.directory, &house.acme, digest('a'));
    house.admit("1.0.0", &bytes).await;
    house.register("2.0.0", &digest('b')).await;
    let before = directory.plugins(acme).await.unwrap();
    house.database.refuse_audit().await;

    let audited = record(audit::PLUGIN_UPLOADED);
    let new = upload("mask", "3.0.0", &digest('c'));
    assert!(directory.register_plugin(acme, &new, &audited).await.is_err());
    let ended = directory
        .end_admission(acme, "mask", "2.0.0", &digest('b'), &admitted(), &audited)
        .await;
    assert!(ended.is_err());
    let states = [PluginState::Admitted];
    let disabled = directory
        .set_plugin_state(
            acme,
            "mask",
            "1.0.0",
            &states,
            PluginState::Disabled,
            None,
            &audited,
        )
        .await;
    assert!(disabled.is_err());
    let trapped = directory
        .note_plugin_trap(acme, &bytes, 1, "c", "r", "a", "j")
        .await;
    assert!(trapped.is_err());
    assert!(
        directory
            .delete_plugin(acme, "mask", "1.0.0", &audited)
            .await
            .is_err()
    );
    let limited = directory
        .set_plugin_limits(acme, "mask", Some("{}"), &audited)
        .await;
    assert!(limited.is_err());

    assert_eq!(directory.plugins(acme).await.unwrap(), before);
    assert_eq!(
        directory.plugin_limits(acme, "mask").await.unwrap(),
        PluginLimitRows::default()
    );
}
