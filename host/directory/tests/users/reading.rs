//! What is read: everything, in order, of one state.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use exeat_directory::filter::Filter;
use exeat_directory::{UserRecord, generate};
use sha2::{Digest as _, Sha256};

use crate::store::{Store, all_fields, named, next, rest};

fn digest(rows: &[Vec<String>]) -> String {
    let mut digest = Sha256::new();
    for row in rows {
        digest.update(format!("{row:?}\n"));
    }
    format!("{:x?}", digest.finalize())
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_users_read_back_equal_on_both() {
    let people: Vec<UserRecord> = generate::users(6_000, 7).collect();
    let mut digests = Vec::new();
    for store in Store::both().await {
        store.write(&store.acme, people.clone()).await;
        let rows = store.rows(&store.acme, &all_fields(), &[]).await;
        let ids: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
        assert!(ids.is_sorted_by(|a, b| a < b), "{}", store.name);
        assert!(
            ids.iter().eq(people.iter().map(|user| &user.user_id)),
            "{}",
            store.name
        );
        for (row, user) in rows.iter().zip(&people) {
            assert_eq!(row[1], *user.email.as_ref().unwrap());
            assert_eq!(row[7], user.created_at.to_string());
            assert_eq!(row[9], format!("{:?}", user.groups.as_ref().unwrap()));
        }
        digests.push(digest(&rows));

        // Fields in another order, some of them, and without the key.
        let some = store
            .rows(&store.acme, &["identities", "email", "groups"], &[])
            .await;
        assert_eq!(some.len(), people.len());
        assert_eq!(some[17][1], *people[17].email.as_ref().unwrap());
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_tenant_has_no_users_and_the_users_of_others_are_unseen() {
    for store in Store::both().await {
        let mut people: Vec<UserRecord> = generate::users(50, 1).collect();
        store.write(&store.acme, people.clone()).await;
        assert!(store.rows(&store.globex, &all_fields(), &[]).await.is_empty());

        // The same ids in another tenant are other people, with other groups.
        for user in &mut people {
            user.name = Some("of globex".to_owned());
            user.groups = Some(vec!["globex".to_owned()]);
            user.identities = Some(Vec::new());
            user.secrets = None;
        }
        store.write(&store.globex, people).await;
        let names = ["name", "groups", "identities", "mfa_factor_count"];
        let rows = store.rows(&store.globex, &names, &[]).await;
        assert!(
            rows.iter()
                .all(|row| row == &["of globex", "[\"globex\"]", "[]", "0"])
        );
        let acme = store.rows(&store.acme, &names, &[]).await;
        assert!(
            acme.iter()
                .all(|row| row[0] != "of globex" && row[1] != "[\"globex\"]")
        );
        assert!(acme.iter().any(|row| row[3] != "0"));
    }
}

/// Each transaction writes one version to every user: to the user's own row, to a group, to an
/// identity, and one login from each second user to the next.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_one_state_while_a_writer_changes_every_user() {
    const USERS: u64 = 1_000;
    for store in Store::both().await {
        let version = |version: i64| -> Vec<UserRecord> {
            let mut people: Vec<UserRecord> = generate::users(USERS, 3).collect();
            for (at, user) in people.iter_mut().enumerate() {
                user.updated_at = version;
                user.logins_count = 1_000_000 + if at % 2 == 0 { version } else { -version };
                user.groups = Some(vec![format!("v{version}")]);
                let mut identity = user.identities.take().and_then(|mut all| all.pop());
                if let Some(identity) = &mut identity {
                    identity.subject = format!("v{version}");
                }
                user.identities = Some(identity.into_iter().collect());
            }
            people
        };
        store.write(&store.acme, version(0)).await;
        let store = Arc::new(store);
        let stop = Arc::new(AtomicBool::new(false));
        let writer = tokio::spawn({
            let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
            async move {
                let mut at = 0;
                while !stop.load(Ordering::Relaxed) {
                    at += 1;
                    store.write(&store.acme, version(at)).await;
                }
            }
        });
        let mut seen = BTreeSet::new();
        let deadline = Instant::now() + Duration::from_secs(60);
        while seen.len() < 5 {
            assert!(
                Instant::now() < deadline,
                "{}: nothing is written meanwhile",
                store.name
            );
            let fields = ["updated_at", "logins_count", "groups", "identities"];
            let rows = store.rows(&store.acme, &fields, &[]).await;
            assert_eq!(rows.len() as u64, USERS);
            let version = rows[0][0].clone();
            assert!(rows.iter().all(|row| row[0] == version), "{}", store.name);
            assert!(
                rows.iter().all(|row| row[2] == format!("[\"v{version}\"]")),
                "{}",
                store.name
            );
            let subject = format!("\"subject\":\"v{version}\"");
            assert!(
                rows.iter().all(|row| row[3] == "[]" || row[3].contains(&subject)),
                "{}",
                store.name
            );
            let logins: i64 = rows.iter().map(|row| row[1].parse::<i64>().unwrap()).sum();
            assert_eq!(logins, 1_000_000 * USERS as i64, "{}", store.name);
            seen.insert(version);
        }
        stop.store(true, Ordering::Relaxed);
        writer.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_after_the_snapshot_is_not_in_it() {
    for store in Store::both().await {
        let people: Vec<UserRecord> = generate::users(20, 5).collect();
        store.write(&store.acme, people[..10].to_vec()).await;
        let mut snapshot = store.snapshot(&store.acme, &Filter::default()).await.unwrap();
        assert!(snapshot.taken_at_us() > 0);
        let mut changed = people.clone();
        for user in &mut changed {
            user.groups = Some(vec!["late".to_owned()]);
        }
        store.write(&store.acme, changed).await;
        // The side rows are read by a connection that is opened only now.
        let fields = named(&["user_id", "groups"]);
        snapshot.read(fields.clone());
        let rows: Vec<_> = rest(snapshot, fields)
            .await
            .into_iter()
            .flat_map(Result::unwrap)
            .collect();
        assert_eq!(rows.len(), 10, "{}", store.name);
        assert!(rows.iter().all(|row| row[1] != "[\"late\"]"), "{}", store.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_are_counted_last_are_counted_in_the_same_state() {
    for store in Store::both().await {
        let people: Vec<UserRecord> = generate::users(30, 5).collect();
        store.write(&store.acme, people[..10].to_vec()).await;
        let mut snapshot = store.uncounted_snapshot(&store.acme).await;
        assert_eq!(snapshot.rows(), None, "{}", store.name);
        store.write(&store.acme, people[10..20].to_vec()).await;
        snapshot.read(named(&["user_id", "groups"]));
        let mut rows = 0;
        while let Some(batch) = snapshot.next().await {
            rows += batch.unwrap().rows();
            store.write(&store.acme, people[20..].to_vec()).await;
        }
        assert_eq!(rows, 10, "{}", store.name);
        assert_eq!(snapshot.counted().await, Some(10), "{}", store.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_end_where_they_are_full() {
    for store in Store::both().await {
        let people: Vec<UserRecord> = generate::users(4_097, 9).collect();
        store.write(&store.acme, people).await;
        let mut huge: Vec<UserRecord> = generate::users(5, 9).collect();
        for user in &mut huge {
            user.custom_attributes = format!("{{\"note\":\"{}\"}}", "x".repeat(700_000));
        }
        store.write(&store.globex, huge).await;
        for (tenant, sizes) in [
            (&store.acme, vec![2_048, 2_048, 1]),
            (&store.globex, vec![2, 2, 1]),
        ] {
            let mut snapshot = store.snapshot(tenant, &Filter::default()).await.unwrap();
            // Numbers and flags: only the rows fill the first tenant's batches.
            let fields = if tenant == &store.acme {
                "mfa_factor_count"
            } else {
                "custom_attributes"
            };
            snapshot.read(named(&[fields]));
            let mut found = Vec::new();
            loop {
                let (again, batch) = next(snapshot).await;
                snapshot = again;
                match batch {
                    Some(rows) => found.push(rows.unwrap()),
                    None => break,
                }
            }
            assert_eq!(found, sizes, "{}", store.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limited_snapshot_is_its_first_users_and_counts_them() {
    let people: Vec<UserRecord> = generate::users(5_000, 7).collect();
    for store in Store::both().await {
        store.write(&store.acme, people.clone()).await;
        for (limit, expected) in [
            (1, 1),
            (2_048, 2_048),
            (3_000, 3_000),
            (5_000, 5_000),
            (9_000, 5_000),
        ] {
            let first = store.snapshot(&store.acme, &Filter::default()).await.unwrap();
            let first = first.limited(limit);
            assert_eq!(first.rows(), Some(expected));
            let last = store.uncounted_snapshot(&store.acme).await.limited(limit);
            for mut snapshot in [first, last] {
                snapshot.read(named(&["user_id", "groups"]));
                let mut rows = 0;
                let counted = loop {
                    let (rest, batch) = next(snapshot).await;
                    snapshot = rest;
                    match batch {
                        Some(batch) => rows += batch.unwrap() as u64,
                        None => break snapshot.counted().await,
                    }
                };
                assert_eq!(
                    (rows, counted),
                    (expected, Some(expected)),
                    "{} {limit}",
                    store.name
                );
            }
        }
    }
}
