//! A filter means the same on both databases.

use exeat_directory::{UserRecord, UserState, generate};

use crate::store::Store;

fn people() -> Vec<UserRecord> {
    let mut people: Vec<UserRecord> = generate::users(400, 11).collect();
    for (user, email) in people.iter_mut().zip([
        "Case@Example.com",
        "case@example.com",
        "\u{c9}lan@example.com",
        "\u{e9}lan@example.com",
        "50%_off@example.com",
        "o'brien\"@example.com",
        "stra\u{df}e@example.com",
    ]) {
        user.email = Some(email.to_owned());
        user.name = None;
    }
    people[7].email = None;
    people[7].username = None;
    people[7].name = Some("M\u{fc}ller \\ {tenant}".to_owned());
    people[7].connection = None;
    people[8].state = UserState::Deleted;
    people
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_let_the_same_users_through() {
    let people = people();
    let stores = Store::both().await;
    for store in &stores {
        store.write(&store.acme, people.clone()).await;
        // Their like in another tenant count for nothing.
        store.write(&store.globex, people.clone()).await;
    }
    let created = people[100].created_at;
    let at = exeat_directory::format_timestamp(created);
    let after = format!("created_after={at}");
    let before = format!("created_before={at}");
    let cases: Vec<(Vec<&str>, Option<usize>)> = vec![
        (vec!["state=active"], None),
        (vec!["state=suspended,deleted"], None),
        (vec![&after], Some(300)),
        (vec![&before], Some(100)),
        (vec![&after, "created_before=2024-06-01"], None),
        (vec!["updated_after=2023-01-01"], None),
        (vec!["updated_before=2023-01-01"], None),
        (vec!["last_signed_in_after=2023-01-01"], None),
        (vec!["last_signed_in_before=2023-01-01T00:00:00.000001Z"], None),
        (vec!["email_verified=true"], None),
        (vec!["email_verified=false"], None),
        (vec!["email=CASE@example.COM"], Some(2)),
        // ASCII letters alone have a case.
        (vec!["email=\u{c9}LAN@example.com"], Some(1)),
        (vec!["email=\u{e9}LAN@example.com"], Some(1)),
        (vec!["email=50%_off@example.com"], Some(1)),
        (vec!["email=o'brien\"@example.com"], Some(1)),
        (vec!["email=%"], Some(0)),
        (vec!["email=a\0b"], Some(0)),
        (vec!["q=a\0b"], Some(0)),
        (vec!["group=a\0b"], Some(0)),
        (vec!["q=case@"], Some(2)),
        (vec!["q=50%_O"], Some(1)),
        (vec!["q=STRA\u{df}E"], Some(1)),
        (vec!["q=\\ {tenant}"], Some(1)),
        (vec!["q=m\u{dc}ller"], None),
        (vec!["q=nobody has this"], Some(0)),
        (vec!["group=no such group"], Some(0)),
        (vec!["connection=no such connection"], Some(0)),
        (vec!["connection=google-oauth2"], None),
        (vec!["group=Engineering", "state=active"], None),
        (
            vec![
                "q=e",
                "email_verified=true",
                "state=active,invited",
                "created_after=2022-01-01",
            ],
            None,
        ),
    ];
    for (filter, count) in cases {
        let mut found = Vec::new();
        for store in &stores {
            found.push(
                store
                    .rows(&store.acme, &["user_id", "groups", "identities"], &filter)
                    .await,
            );
        }
        assert_eq!(found[0], found[1], "{filter:?}");
        if let Some(count) = count {
            assert_eq!(found[0].len(), count, "{filter:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_group_and_connection_is_found_by_its_name() {
    let people = people();
    let stores = Store::both().await;
    for store in &stores {
        store.write(&store.acme, people.clone()).await;
    }
    let group = people
        .iter()
        .flat_map(|user| user.groups.iter().flatten())
        .next()
        .unwrap();
    let of_group = people
        .iter()
        .filter(|user| user.groups.as_ref().unwrap().contains(group))
        .count();
    let connection = people[0].connection.as_ref().unwrap();
    let of_connection = people
        .iter()
        .filter(|user| user.connection.as_ref() == Some(connection))
        .count();
    for store in &stores {
        for (condition, count) in [
            (format!("group={group}"), of_group),
            (format!("connection={connection}"), of_connection),
        ] {
            let rows = store
                .rows(&store.acme, &["groups", "connection"], &[&condition])
                .await;
            assert_eq!(rows.len(), count, "{} {condition}", store.name);
        }
    }
}
