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

#[tokio::test(flavor = "multi_thread")]
async fn expressions_mean_the_same_on_both_and_are_true_or_false_of_every_user() {
    let mut people = people();
    for (user, attributes) in people.iter_mut().zip([
        r#"{"department": "Sales", "level": 3, "remote": true, "place": {"floor-2": "x"}}"#,
        r#"{"department": "sales", "level": 3.5, "remote": false}"#,
        r#"{"department": null, "level": "3", "remote": "true"}"#,
        r#"{"department": ["Sales"], "level": 30000000000000000000}"#,
        r#"{"department": "", "level": -1}"#,
        r#"{"department": "S\u0000ales"}"#.replace("\\u0000", "_").as_str(),
    ]) {
        user.custom_attributes = attributes.to_owned();
    }
    for user in &mut people[6..] {
        user.custom_attributes = "{}".to_owned();
    }
    people[9].groups = Some(Vec::new());
    people[10].last_signed_in_at = None;
    let stores = Store::both().await;
    for store in &stores {
        store.write(&store.acme, people.clone()).await;
        store.write(&store.globex, people.clone()).await;
    }
    let created = exeat_directory::format_timestamp(people[100].created_at);
    let id = people[5].user_id.clone();
    let cases: Vec<(String, Option<usize>)> = [
        (r#"state eq "deleted""#, None),
        (r#"active eq false"#, None),
        (r#"email eq "CASE@example.COM""#, Some(2)),
        (r#"email sw "STRA" or email sw "50%_OFF@""#, Some(2)),
        (r#"email co "_off@" and email co "50%""#, Some(1)),
        (r#"userName pr"#, None),
        (r#"emails.value eq null"#, Some(1)),
        (r#"name.formatted co "\\ {tenant}""#, Some(1)),
        (r#"displayName co "\u0000""#, Some(0)),
        (r#"nickname gt "m" and nickname le "t""#, None),
        (r#"locale eq "DE" or locale sw "en""#, None),
        (r#"created_at ge "CREATED""#, Some(300)),
        (r#"created_at gt "CREATED""#, Some(299)),
        (r#"created_at lt "CREATED""#, Some(100)),
        (r#"meta.created le "CREATED""#, Some(101)),
        (r#"created_at eq "CREATED""#, Some(1)),
        (r#"last_signed_in_at lt "2024-01-01""#, None),
        (r#"last_signed_in_at pr"#, None),
        (r#"logins_count gt 10 and logins_count le 100"#, None),
        (r#"email_verified eq true and phone_verified eq false"#, None),
        (r#"id eq "USER""#, Some(1)),
        (
            r#"connection sw "google" or connection ew "Password-Authentication""#,
            None,
        ),
        (r#"connection pr"#, None),
        (r#"groups eq "Engineering""#, None),
        (r#"groups.display co "ngin""#, None),
        (r#"groups sw "no such""#, Some(0)),
        (r#"groups pr"#, None),
        (r#"custom_attributes.department eq "Sales""#, Some(1)),
        (r#"custom_attributes.department pr"#, Some(5)),
        (r#"custom_attributes.level ge 3"#, Some(3)),
        (r#"custom_attributes.level eq 3.0"#, Some(1)),
        (r#"custom_attributes.level lt 0"#, Some(1)),
        (r#"custom_attributes.level eq "3""#, Some(1)),
        (r#"custom_attributes.remote eq true"#, Some(1)),
        (r#"custom_attributes.remote eq false"#, Some(1)),
        (r#"custom_attributes.place.floor-2 eq "x""#, Some(1)),
        (r#"custom_attributes.department eq "\u0000""#, Some(0)),
        (r#"app_metadata.no-such.key pr"#, Some(0)),
        (
            r#"state eq "active" and not (groups pr or email sw "a") or id eq "USER""#,
            None,
        ),
    ]
    .map(|(filter, count)| (filter.replace("CREATED", &created).replace("USER", &id), count))
    .into();
    for (filter, count) in cases {
        let mut found = Vec::new();
        for store in &stores {
            let rows = store.rows(&store.acme, &["user_id"], &[&filter]).await;
            let others = format!("not ({filter})");
            let others = store.rows(&store.acme, &["user_id"], &[&others]).await;
            assert_eq!(
                rows.len() + others.len(),
                people.len(),
                "{}: {filter} is unknown of somebody",
                store.name
            );
            found.push(rows);
        }
        assert_eq!(found[0], found[1], "{filter}");
        if let Some(count) = count {
            assert_eq!(found[0].len(), count, "{filter}");
        }
        assert!(found[0].len() < people.len(), "{filter} says nothing");
    }
}
