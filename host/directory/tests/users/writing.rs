//! What is written: the same on both databases, however often.

use exeat_directory::{DirectoryError, UserRecord, generate};

use crate::store::{Store, all_fields};

#[tokio::test(flavor = "multi_thread")]
async fn writing_again_changes_nothing() {
    for store in Store::both().await {
        let people: Vec<UserRecord> = generate::users(700, 21).collect();
        store.write(&store.acme, people.clone()).await;
        let first = store.rows(&store.acme, &all_fields(), &[]).await;
        let mut backwards = people.clone();
        backwards.reverse();
        store.write(&store.acme, backwards).await;
        assert_eq!(
            store.rows(&store.acme, &all_fields(), &[]).await,
            first,
            "{}",
            store.name
        );

        // What is not given stays as it is.
        let mut bare = people.clone();
        for user in &mut bare {
            (user.groups, user.identities, user.secrets) = (None, None, None);
        }
        store.write(&store.acme, bare).await;
        assert_eq!(
            store.rows(&store.acme, &all_fields(), &[]).await,
            first,
            "{}",
            store.name
        );

        // What is given empty is emptied.
        let mut empty = people.clone();
        for user in &mut empty {
            user.groups = Some(Vec::new());
            user.identities = Some(Vec::new());
            user.secrets = Some(exeat_directory::Secrets::default());
        }
        store.write(&store.acme, empty).await;
        let rows = store
            .rows(&store.acme, &["groups", "identities", "mfa_factor_count"], &[])
            .await;
        assert!(rows.iter().all(|row| row == &["[]", "[]", "0"]), "{}", store.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_of_two_records_of_a_user_counts() {
    for store in Store::both().await {
        let first = generate::users(1, 1).next().unwrap();
        let mut second = first.clone();
        second.name = Some("Second".to_owned());
        second.groups = None;
        second.identities = Some(Vec::new());
        store.write(&store.acme, vec![first.clone(), second]).await;
        let rows = store
            .rows(&store.acme, &["name", "groups", "identities"], &[])
            .await;
        let groups = format!("{:?}", first.groups.unwrap());
        assert_eq!(rows, [["Second", groups.as_str(), "[]"]], "{}", store.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_before_a_failure_stays_up_to_the_last_full_transaction() {
    for store in Store::both().await {
        let failed = store
            .fill(&store.acme, |writer| {
                for user in generate::users(5_010, 4) {
                    writer.write(&user)?;
                }
                assert_eq!(writer.written().users, 5_010);
                Err::<(), _>(DirectoryError::TenantName)
            })
            .await;
        assert!(
            matches!(failed, Err(DirectoryError::TenantName)),
            "{}",
            store.name
        );
        assert_eq!(
            store.rows(&store.acme, &["user_id"], &[]).await.len(),
            5_000,
            "{}",
            store.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_user_is_refused_without_a_value_and_takes_nobody_along() {
    for store in Store::both().await {
        let mut people: Vec<UserRecord> = generate::users(3, 4).collect();
        people[2].custom_attributes = "{\"almost\": \"json-with-a-secret".to_owned();
        let refused = store
            .fill(&store.acme, move |writer| {
                people.iter().try_for_each(|user| writer.write(user))
            })
            .await
            .unwrap_err();
        let mut told = format!("{refused} {refused:?}");
        let mut source = std::error::Error::source(&refused);
        while let Some(error) = source {
            told.push_str(&format!(" {error} {error:?}"));
            source = error.source();
        }
        assert!(!told.contains("json-with-a-secret"), "{}: {told}", store.name);
        assert!(!refused.is_transient());
        assert!(
            store.rows(&store.acme, &["user_id"], &[]).await.is_empty(),
            "{}",
            store.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_locked_while_the_input_stalls() {
    for store in Store::both().await {
        let people: Vec<UserRecord> = generate::users(10, 4).collect();
        let (stalled, stall) = std::sync::mpsc::channel();
        let (go_on, wait) = std::sync::mpsc::channel();
        let others = people.clone();
        let store = std::sync::Arc::new(store);
        let slow = tokio::spawn({
            let store = std::sync::Arc::clone(&store);
            async move {
                store
                    .fill(&store.acme, move |writer| {
                        writer.write(&others[0])?;
                        stalled.send(()).unwrap();
                        wait.recv().unwrap();
                        writer.write(&others[1])
                    })
                    .await
            }
        });
        tokio::task::spawn_blocking(move || stall.recv().unwrap())
            .await
            .unwrap();
        // The same users, while the other writer has them in hand.
        store.write(&store.acme, people).await;
        go_on.send(()).unwrap();
        slow.await.unwrap().unwrap();
        assert_eq!(
            store.rows(&store.acme, &["user_id"], &[]).await.len(),
            10,
            "{}",
            store.name
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_of_the_same_users_end_both() {
    for store in Store::both().await {
        let store = std::sync::Arc::new(store);
        let writers: Vec<_> = (0..4)
            .map(|turn| {
                let store = std::sync::Arc::clone(&store);
                tokio::spawn(async move {
                    let mut people: Vec<UserRecord> = generate::users(800, 4).collect();
                    if turn % 2 == 0 {
                        people.reverse();
                    }
                    store.write(&store.acme, people).await;
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        assert_eq!(
            store.rows(&store.acme, &["user_id"], &[]).await.len(),
            800,
            "{}",
            store.name
        );
    }
}
