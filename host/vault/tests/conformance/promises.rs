//! Promises that hold on every store.

use bytes::Bytes;
use exeat_vault::VaultError;
use futures::TryStreamExt as _;

use crate::house::{House, attempt, digest, noise, write};

/// Larger than a part of an upload, of either kind of store.
const LARGE: usize = (20 << 20) + 12_345;

pub(crate) async fn an_export_is_visible_whole_or_not_at_all(house: &House) {
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    let bytes = noise(LARGE, 1);
    let mut writer = draft.file("users.csv", "text/csv", "none").await.unwrap();
    for piece in bytes.chunks(1 << 20) {
        writer.write(piece).await.unwrap();
        assert!(house.bytes("exp_1", 1, "users.csv").await.is_none());
    }
    let entry = writer.finish().await.unwrap();
    assert_eq!(entry.sha256, digest(&bytes));
    assert!(house.vault.manifest("acme", "exp_1", 1).await.unwrap().is_none());
    draft.publish(b"{\"job_id\":1}").await.unwrap();
    drop(draft);
    assert_eq!(
        house.vault.manifest("acme", "exp_1", 1).await.unwrap().as_deref(),
        Some(&b"{\"job_id\":1}"[..])
    );
    assert!(house.bytes("exp_1", 1, "users.csv").await.unwrap() == bytes);
    assert!(house.vault.manifest("acme", "exp_1", 2).await.unwrap().is_none());
    assert!(house.bytes("exp_1", 2, "users.csv").await.is_none());
}

pub(crate) async fn a_draft_that_is_discarded_leaves_nothing_behind(house: &House) {
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    write(&draft, "small.csv", b"user_id\r\n").await;
    write(&draft, "large.csv", &noise(LARGE, 2)).await;
    let mut cut_off = draft.file("cut-off.csv", "text/csv", "none").await.unwrap();
    cut_off.write(&noise(LARGE, 3)).await.unwrap();
    drop(cut_off);
    draft.publish(b"{}").await.unwrap();
    draft.discard().await.unwrap();
    assert_eq!(house.everything(), [""; 0]);
    draft.discard().await.unwrap();
}

pub(crate) async fn what_the_dead_left_is_found_and_swept_and_the_living_is_not(house: &House) {
    house.export("acme", "exp_1", 2).await;
    let kept = house.everything();
    // A first attempt that died before its manifest, one of another job's after it, one alive.
    let dead = house.vault.draft("acme", "exp_1", 1).unwrap();
    write(&dead, "users.csv", b"user_id\r\n").await;
    std::mem::forget(dead);
    house.export("globex", "exp_2", 1).await;
    let living = house.vault.draft("acme", "exp_10", 1).unwrap();
    write(&living, "users.csv", b"user_id\r\n").await;

    let all = [
        attempt("acme", "exp_1", 1),
        attempt("acme", "exp_1", 2),
        attempt("acme", "exp_10", 1),
        attempt("globex", "exp_2", 1),
    ];
    assert_eq!(house.attempts().await, all);
    assert_eq!(house.vault.remove_attempt(&all[0]).await.unwrap(), 1);
    assert_eq!(house.vault.remove_attempt(&all[3]).await.unwrap(), 2);
    assert_eq!(house.vault.remove_attempt(&all[3]).await.unwrap(), 0);
    assert_eq!(house.attempts().await, all[1..3]);
    living.publish(b"{}").await.unwrap();
    assert!(house.bytes("exp_10", 1, "users.csv").await.is_some());
    house.vault.remove("acme", "exp_10").await.unwrap();
    assert_eq!(house.everything(), kept);
}

pub(crate) async fn an_upload_that_was_cut_off_is_swept(house: &House) {
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    let mut writer = draft.file("users.csv", "text/csv", "none").await.unwrap();
    writer.write(&noise(LARGE, 4)).await.unwrap();
    // As if the process had been killed.
    std::mem::forget((writer, draft));
    if !house.is_local() {
        assert_eq!(house.server().incomplete_uploads().len(), 1);
    }
    assert_eq!(house.attempts().await, [attempt("acme", "exp_1", 1)]);
    assert!(house.bytes("exp_1", 1, "users.csv").await.is_none());
    house
        .vault
        .remove_attempt(&attempt("acme", "exp_1", 1))
        .await
        .unwrap();
    assert_eq!(house.attempts().await, []);
    assert_eq!(house.everything(), [""; 0]);
}

pub(crate) async fn a_range_is_what_it_says(house: &House) {
    let bytes = noise(200_000, 5);
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    write(&draft, "users.csv", &bytes).await;
    write(&draft, "empty.csv", b"").await;
    let file_bytes = bytes.len() as u64;
    for (asked, given) in [
        (0..1, 0..1),
        (0..file_bytes, 0..file_bytes),
        (99_999..150_001, 99_999..150_001),
        (199_999..u64::MAX, 199_999..file_bytes),
    ] {
        let reader = house
            .vault
            .read("acme", "exp_1", 1, "users.csv", Some(asked.clone()))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (&reader.range, reader.bytes, reader.file_bytes),
            (&given, given.end - given.start, file_bytes)
        );
        let part: Vec<Bytes> = reader.stream.try_collect().await.unwrap();
        let place = given.start as usize..given.end as usize;
        assert!(part.concat() == bytes[place], "{asked:?}");
    }
    let backwards = std::ops::Range { start: 9, end: 3 };
    for range in [file_bytes..file_bytes + 1, 5..5, backwards] {
        let refused = house
            .vault
            .read("acme", "exp_1", 1, "users.csv", Some(range))
            .await;
        assert!(matches!(refused, Err(VaultError::Range { file_bytes: 200_000 })));
    }
    let refused = house
        .vault
        .read("acme", "exp_1", 1, "empty.csv", Some(0..1))
        .await;
    assert!(matches!(refused, Err(VaultError::Range { file_bytes: 0 })));
    let nothing = house.vault.read("acme", "exp_1", 1, "no.csv", Some(0..1)).await;
    assert!(nothing.unwrap().is_none());
}

pub(crate) async fn a_job_is_removed_with_all_its_attempts_and_no_other_is(house: &House) {
    house.export("acme", "exp_10", 1).await;
    house.export("globex", "exp_1", 1).await;
    let kept = house.everything();
    house.export("acme", "exp_1", 1).await;
    house.export("acme", "exp_1", 2).await;
    assert_eq!(house.vault.remove("acme", "exp_1").await.unwrap(), 4);
    assert_eq!(house.everything(), kept);
    assert_eq!(house.vault.remove("acme", "exp_1").await.unwrap(), 0);
    assert_eq!(house.vault.remove("initech", "exp_1").await.unwrap(), 0);
    assert_eq!(house.everything(), kept);
}

pub(crate) async fn names_cannot_lead_out_of_the_vault(house: &House) {
    house.export("acme", "exp_1", 1).await;
    let before = house.everything();
    let vault = &house.vault;
    let draft = vault.draft("acme", "exp_1", 2).unwrap();
    for name in [
        "..",
        ".",
        "",
        "a/b",
        "a%2fb",
        "a\\b",
        "a\0",
        ".uploads",
        "users.csv#1",
        "../1/users.csv",
        "é",
    ] {
        let refused = [
            vault.draft(name, "exp_1", 1).err(),
            vault.draft("acme", name, 1).err(),
            draft.file(name, "text/csv", "none").await.err(),
            vault.manifest(name, "exp_1", 1).await.err(),
            vault.manifest("acme", name, 1).await.err(),
            vault.read(name, "exp_1", 1, "users.csv", None).await.err(),
            vault.read("acme", name, 1, "users.csv", None).await.err(),
            vault.read("acme", "exp_1", 1, name, None).await.err(),
            vault.remove(name, "exp_1").await.err(),
            vault.remove("acme", name).await.err(),
            vault.remove_attempt(&attempt(name, "exp_1", 1)).await.err(),
            vault.remove_attempt(&attempt("acme", name, 1)).await.err(),
        ];
        for (call, error) in refused.into_iter().enumerate() {
            assert!(
                matches!(error, Some(VaultError::Name(_))),
                "{name:?} {call}: {error:?}"
            );
        }
    }
    let manifest = draft.file("manifest.json", "text/csv", "none").await;
    assert!(matches!(manifest, Err(VaultError::Name(_))));
    drop(draft);
    assert_eq!(house.everything(), before);
}

pub(crate) async fn several_files_lie_beside_each_other(house: &House) {
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    // Two at once, one of them in parts.
    let (small, large) = (noise(1_000, 6), noise(LARGE, 7));
    tokio::join!(
        write(&draft, "users.csv", &small),
        write(&draft, "groups.csv", &large)
    );
    for index in 0..20 {
        write(&draft, &format!("rejects-{index}.ndjson"), &noise(index, 8)).await;
    }
    draft.publish(b"{}").await.unwrap();
    assert!(house.bytes("exp_1", 1, "users.csv").await.unwrap() == small);
    assert!(house.bytes("exp_1", 1, "groups.csv").await.unwrap() == large);
    assert_eq!(
        house.bytes("exp_1", 1, "rejects-7.ndjson").await.unwrap(),
        noise(7, 8)
    );
    assert_eq!(house.vault.remove("acme", "exp_1").await.unwrap(), 23);
    assert_eq!(house.everything(), [""; 0]);
}

pub(crate) async fn a_file_of_any_size_comes_back_as_it_was_written(house: &House) {
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    let part = 8 << 20;
    for size in [
        0,
        1,
        (1 << 20) - 1,
        1 << 20,
        (1 << 20) + 1,
        part,
        part + 1,
        2 * part,
        2 * part + 1,
    ] {
        let bytes = noise(size, 9);
        let name = format!("{size}.csv");
        write(&draft, &name, &bytes).await;
        assert!(
            house.bytes("exp_1", 1, &name).await.unwrap() == bytes,
            "{size} bytes"
        );
    }
    draft.publish(b"{}").await.unwrap();
    assert_eq!(house.vault.remove("acme", "exp_1").await.unwrap(), 10);
    assert_eq!(house.everything(), [""; 0]);
}

pub(crate) async fn attempts_at_once_do_not_touch_each_other(house: &House) {
    let mut running = tokio::task::JoinSet::new();
    for number in 1..=4 {
        let vault = house.vault.clone();
        running.spawn(async move {
            for round in 0..10 {
                let draft = vault.draft("acme", "exp_1", number * 100 + round).unwrap();
                write(&draft, "users.csv", &noise(100_000, number as u64)).await;
                if round == 9 {
                    draft.publish(number.to_string().as_bytes()).await.unwrap();
                } else {
                    draft.discard().await.unwrap();
                }
            }
        });
    }
    running.join_all().await;
    assert_eq!(house.attempts().await.len(), 4);
    for number in 1..=4 {
        let name = number * 100 + 9;
        let manifest = house.vault.manifest("acme", "exp_1", name).await.unwrap();
        assert_eq!(manifest, Some(Bytes::from(number.to_string())));
        let bytes = house.bytes("exp_1", name, "users.csv").await.unwrap();
        assert!(bytes == noise(100_000, number as u64), "{number}");
    }
}

pub(crate) async fn a_check_shows_that_the_store_works_and_leaves_nothing(house: &House) {
    house.vault.check().await.unwrap();
    assert_eq!(house.everything(), [""; 0]);
}

pub(crate) async fn plugins_come_back_as_they_were_put_until_they_are_removed(house: &House) {
    let store = house.components();
    let digest = format!("sha256:{}", "a".repeat(64));
    let bytes = Bytes::from(noise(100_000, 10));
    store.put(&digest, bytes.clone()).await.unwrap();
    store.put(&digest, bytes.clone()).await.unwrap();
    assert!(store.get(&digest).await.unwrap().unwrap() == bytes);
    assert_eq!(house.attempts().await, []);
    store.remove(&digest).await.unwrap();
    store.remove(&digest).await.unwrap();
    assert_eq!(store.get(&digest).await.unwrap(), None);
    assert_eq!(house.everything(), [""; 0]);
}
