//! Promises about a store that answers late, wrongly or not at all, and about one that says no.

use std::time::{Duration, Instant};

use exeat_test_servers::s3::{Fault, S3Server};
use exeat_vault::{StoreFault, StoreUrl, Vault, VaultError};
use futures::TryStreamExt as _;

use crate::house::{House, attempt, digest, noise, write};

const LARGE: usize = 20 << 20;

/// Longer than the client tries at a store that says no.
const PATIENCE: Duration = Duration::from_secs(20);

fn vault(server: &S3Server, options: &[(&str, &str)]) -> Vault {
    let url: StoreUrl = server.url("").parse().unwrap();
    let options = options
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.to_owned()));
    Vault::open(&url.with_options(server.env().into_iter().chain(options))).unwrap()
}

fn assert_fault(error: &VaultError, fault: StoreFault, says: &str) {
    assert_eq!(error.fault(), fault, "{error}");
    assert_eq!(error.is_transient(), fault == StoreFault::Unavailable);
    let shown = format!("{error} {error:?}");
    assert!(shown.contains(says), "{shown}");
    assert!(
        !shown.contains("exeat-secret-key") && !shown.contains("<"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_store_that_asks_for_patience_gets_it() {
    let house = House::s3();
    for kind in [
        "users.csv",
        "uploads",
        "partNumber=",
        "uploadId=",
        "manifest.json",
    ] {
        house
            .server()
            .fail(Fault::answer(503, "SlowDown").containing(kind).times(2));
    }
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    let bytes = noise(LARGE, 1);
    write(&draft, "users.csv", &bytes).await;
    draft.publish(b"{}").await.unwrap();
    assert!(house.bytes("exp_1", 1, "users.csv").await.unwrap() == bytes);
    // Those of the file, the two others of the upload, the manifest's.
    assert!(house.server().count("PUT", "manifest.json") == 3);
    assert_eq!(house.server().incomplete_uploads(), [""; 0]);
}

#[tokio::test]
async fn a_store_that_never_works_is_given_up_with_a_clear_error_and_nothing_is_visible() {
    let house = House::s3();
    house.server().fail(Fault::answer(503, "SlowDown"));
    let begun = Instant::now();
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    let mut writer = draft.file("users.csv", "text/csv", "none").await.unwrap();
    writer.write(b"user_id\r\n").await.unwrap();
    let error = writer.finish().await.unwrap_err();
    assert_fault(
        &error,
        StoreFault::Unavailable,
        "the export cannot be stored: the store answered 503 SlowDown",
    );
    assert!(begun.elapsed() < PATIENCE);
    assert_eq!(house.server().count("PUT", "users.csv"), 6);
    house.server().heal();
    assert_eq!(house.everything(), [""; 0]);
}

#[tokio::test]
async fn an_upload_that_fails_half_way_can_be_discarded() {
    let house = House::s3();
    house
        .server()
        .fail(Fault::answer(403, "AccessDenied").containing("partNumber=2"));
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    let mut writer = draft.file("users.csv", "text/csv", "none").await.unwrap();
    let mut failed = None;
    for piece in noise(4 * LARGE, 2).chunks(1 << 20) {
        if let Err(error) = writer.write(piece).await {
            failed = Some(error);
            break;
        }
    }
    assert_fault(&failed.unwrap(), StoreFault::Refused, "403 AccessDenied");
    drop(writer);
    assert_eq!(house.server().incomplete_uploads().len(), 1);
    assert!(house.bytes("exp_1", 1, "users.csv").await.is_none());
    draft.discard().await.unwrap();
    assert_eq!(house.everything(), [""; 0]);
}

#[tokio::test]
async fn a_manifest_that_cannot_be_put_makes_no_export() {
    let house = House::s3();
    house
        .server()
        .fail(Fault::answer(403, "AccessDenied").containing("manifest.json"));
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    write(&draft, "users.csv", b"user_id\r\n").await;
    assert_fault(
        &draft.publish(b"{}").await.unwrap_err(),
        StoreFault::Refused,
        "the export cannot be stored",
    );
    house.server().heal();
    assert!(house.vault.manifest("acme", "exp_1", 1).await.unwrap().is_none());
}

#[tokio::test]
async fn what_trying_again_cannot_change_is_said_at_once() {
    let house = House::s3();
    let server = house.server();
    server.fail(Fault::answer(403, "AccessDenied").method("PUT"));
    let error = house.vault.check().await.unwrap_err();
    assert_fault(
        &error,
        StoreFault::Refused,
        "the store s3://exeat/some/prefix cannot be written to: the store answered 403 AccessDenied",
    );
    assert_eq!(server.count("PUT", ""), 1);
}

#[tokio::test]
async fn a_check_says_which_permission_is_missing() {
    for (method, says) in [
        ("GET", "cannot be read: "),
        ("DELETE", "cannot be deleted from: "),
    ] {
        let house = House::s3();
        house
            .server()
            .fail(Fault::answer(403, "AccessDenied").method(method));
        assert_fault(&house.vault.check().await.unwrap_err(), StoreFault::Refused, says);
    }
    let house = House::s3();
    house
        .server()
        .fail(Fault::answer(403, "AccessDenied").containing("list-type=2"));
    assert_fault(
        &house.vault.check().await.unwrap_err(),
        StoreFault::Refused,
        "cannot be listed",
    );
    assert_eq!(house.everything(), [""; 0]);
}

#[tokio::test]
async fn a_full_store_is_told_from_a_busy_one() {
    let house = House::s3();
    house.server().fail(Fault::answer(507, "XMinioStorageFull"));
    let error = house.vault.check().await.unwrap_err();
    assert_fault(&error, StoreFault::NoSpace, "507");
}

#[tokio::test]
async fn a_key_that_is_wrong_is_refused_and_shown_nowhere() {
    let server = S3Server::start();
    let vault = vault(&server, &[("AWS_SECRET_ACCESS_KEY", "hunter2")]);
    let error = vault.check().await.unwrap_err();
    assert_fault(&error, StoreFault::Refused, "SignatureDoesNotMatch");
    assert!(!format!("{error} {error:?} {vault:?}").contains("hunter2"));
}

#[tokio::test]
async fn a_bucket_that_is_missing_is_an_error_and_not_an_empty_vault() {
    let server = S3Server::start();
    let url: StoreUrl = "s3://no-such-bucket/a".parse().unwrap();
    let vault = Vault::open(&url.with_options(server.env())).unwrap();
    let error = vault.manifest("acme", "exp_1", 1).await.unwrap_err();
    assert_fault(&error, StoreFault::Missing, "404 NoSuchBucket");
    let error = vault.attempts().try_next().await.unwrap_err();
    assert_fault(&error, StoreFault::Missing, "404 NoSuchBucket");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_given_up() {
    let server = S3Server::start();
    let vault = vault(&server, &[]);
    drop(server);
    let begun = Instant::now();
    let error = vault.check().await.unwrap_err();
    assert_fault(&error, StoreFault::Unavailable, "the store cannot be reached");
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn a_store_that_keeps_silent_is_given_up() {
    let server = S3Server::start();
    let vault = vault(&server, &[("AWS_READ_TIMEOUT", "200ms")]);
    server.fail(Fault::delay(Duration::from_secs(600)));
    let begun = Instant::now();
    let error = vault.check().await.unwrap_err();
    assert_fault(
        &error,
        StoreFault::Unavailable,
        "the store did not answer in time",
    );
    assert!(begun.elapsed() < PATIENCE);
}

#[tokio::test]
async fn connections_that_are_cut_off_and_answers_that_are_lost_do_no_harm() {
    let house = House::s3();
    let server = house.server();
    server.fail(Fault::cut().containing("uploads").times(1));
    server.fail(Fault::cut().containing("partNumber=1").times(2));
    server.fail(Fault::lose_answer().containing("partNumber=2").times(1));
    server.fail(
        Fault::lose_answer()
            .method("POST")
            .containing("uploadId=")
            .times(1),
    );
    server.fail(Fault::lose_answer().containing("manifest.json").times(1));
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    let bytes = noise(LARGE, 3);
    write(&draft, "users.csv", &bytes).await;
    draft.publish(b"{}").await.unwrap();
    assert!(house.bytes("exp_1", 1, "users.csv").await.unwrap() == bytes);
    assert_eq!(house.vault.remove("acme", "exp_1").await.unwrap(), 2);
    assert_eq!(house.everything(), [""; 0]);
}

#[tokio::test]
async fn a_slow_reader_gets_the_whole_file() {
    let server = S3Server::start();
    let house = House::on(server);
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    let bytes = noise(LARGE, 4);
    write(&draft, "users.csv", &bytes).await;
    let options = house
        .server()
        .env()
        .into_iter()
        .chain([("AWS_READ_TIMEOUT".to_owned(), "300ms".to_owned())]);
    let impatient = Vault::open(&house.url.clone().with_options(options)).unwrap();
    let mut reader = impatient
        .read("acme", "exp_1", 1, "users.csv", None)
        .await
        .unwrap()
        .unwrap();
    let mut read = Vec::new();
    let mut pauses = 0;
    while let Some(piece) = reader.stream.try_next().await.unwrap() {
        if read.len() / (5 << 20) >= pauses {
            // Longer than the store may keep silent.
            tokio::time::sleep(Duration::from_millis(600)).await;
            pauses += 1;
        }
        read.extend_from_slice(&piece);
    }
    assert!(pauses >= 4);
    assert_eq!(digest(&read), digest(&bytes));
}

#[tokio::test]
async fn an_export_of_more_files_than_a_page_lists_is_removed_whole() {
    let house = House::s3();
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    for index in 0..1_005 {
        write(&draft, &format!("{index}.ldif"), b"dn:").await;
    }
    house.export("acme", "exp_2", 1).await;
    assert_eq!(
        house.attempts().await,
        [attempt("acme", "exp_1", 1), attempt("acme", "exp_2", 1)]
    );
    assert_eq!(house.vault.remove("acme", "exp_1").await.unwrap(), 1_005);
    assert_eq!(house.attempts().await, [attempt("acme", "exp_2", 1)]);
}

#[tokio::test]
async fn what_a_slow_store_makes_us_hold_is_bounded() {
    let house = House::s3();
    let server = house.server();
    server.fail(Fault::delay(Duration::from_secs(600)).containing("partNumber="));
    let draft = house.vault.draft("acme", "exp_1", 1).unwrap();
    let mut writer = draft.file("users.csv", "text/csv", "none").await.unwrap();
    let mut taken = 0_usize;
    let piece = vec![0; 1 << 20];
    while tokio::time::timeout(Duration::from_secs(1), writer.write(&piece))
        .await
        .is_ok()
    {
        taken += piece.len();
    }
    // Two parts on their way, one that is full and waits.
    assert_eq!(taken, 24 << 20);
}
