//! Webhooks: what is recorded to be sent, and that nobody else sends it meanwhile.

use std::time::Duration;

use exeat_directory::Directory;
use exeat_directory::jobs::JobState;
use exeat_directory::webhooks::{DeliveryState, DueDelivery, Sent, WebhookEvent, WebhookWritten};

use crate::both::{LONG, TestDatabase, record};
use crate::jobs::Office;

on_both! {
    the_end_of_an_export_is_told_to_those_who_want_to_hear_of_it,
    a_message_is_one_senders_until_its_lease_is_over,
    a_new_secret_signs_beside_the_old_one_for_a_while,
}

const URL: &str = "https://hooks.example.com/exeat";

fn failed(again_after: Option<Duration>) -> Sent {
    Sent {
        status: Some(500),
        error: None,
        again_after,
    }
}

/// Takes the one message that is due, if there is one.
async fn claim(directory: &Directory, lease: Duration) -> Option<DueDelivery> {
    let due = directory
        .due_deliveries(2, 10)
        .await
        .unwrap()
        .into_iter()
        .next()?;
    directory.claim_delivery(&due.delivery_id, lease).await.unwrap()
}

async fn the_end_of_an_export_is_told_to_those_who_want_to_hear_of_it(database: TestDatabase) {
    let office = Office::new(database).await;
    let directory = &office.directory;
    let made = directory
        .write_webhook(&office.acme, "all", URL, &WebhookEvent::ALL, &record("x"))
        .await
        .unwrap();
    assert!(matches!(made, WebhookWritten::Made(_)));
    let only = [WebhookEvent::ExportFailed];
    directory
        .write_webhook(&office.acme, "failures", URL, &only, &record("x"))
        .await
        .unwrap();
    directory
        .write_webhook(&office.globex, "theirs", URL, &WebhookEvent::ALL, &record("x"))
        .await
        .unwrap();
    let completed = office.completed(LONG).await;
    let failed = office.running(LONG).await;
    let ended = directory
        .end_job(
            &failed,
            JobState::Failed,
            "plugin-failed",
            "it broke",
            &record("x"),
        )
        .await;
    assert!(ended.unwrap());
    let told = async |tenant, webhook: &str| {
        let deliveries = directory.deliveries(tenant, webhook, None, 10).await.unwrap();
        let told = deliveries
            .into_iter()
            .map(|delivery| (delivery.event, delivery.export.unwrap()));
        told.collect::<Vec<_>>()
    };
    let of_failed = ("export.failed".to_owned(), failed.job_id);
    let of_completed = ("export.completed".to_owned(), completed.job_id);
    assert_eq!(
        told(&office.acme, "failures").await,
        std::slice::from_ref(&of_failed)
    );
    assert_eq!(told(&office.acme, "all").await, [of_failed, of_completed]);
    assert!(told(&office.globex, "theirs").await.is_empty());
    assert!(
        directory
            .delete_webhook(&office.acme, "all", &record("x"))
            .await
            .unwrap()
    );
    assert!(told(&office.acme, "all").await.is_empty());
}

async fn a_message_is_one_senders_until_its_lease_is_over(database: TestDatabase) {
    let office = Office::new(database).await;
    let directory = &office.directory;
    directory
        .write_webhook(&office.acme, "all", URL, &WebhookEvent::ALL, &record("x"))
        .await
        .unwrap();
    office.completed(LONG).await;
    let elsewhere = office.database.open().await;
    let short = Duration::from_millis(50);
    let mine = claim(directory, short).await.unwrap();
    assert_eq!((mine.url.as_str(), mine.attempt), (URL, 1));
    assert!(claim(&elsewhere, LONG).await.is_none());
    tokio::time::sleep(short * 2).await;
    let theirs = claim(&elsewhere, LONG).await.unwrap();
    assert_eq!(
        (theirs.delivery_id.as_str(), theirs.attempt),
        (&*mine.delivery_id, 2)
    );
    elsewhere
        .end_delivery(&theirs, &failed(Some(Duration::ZERO)))
        .await
        .unwrap();
    let again = claim(directory, LONG).await.unwrap();
    assert_eq!(again.attempt, 3);
    directory.end_delivery(&again, &failed(None)).await.unwrap();
    let shown = directory
        .deliveries(&office.acme, "all", None, 10)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(
        (shown.state, shown.last_status),
        (DeliveryState::GivenUp, Some(500))
    );
    let redeliver = async |tenant| {
        directory
            .redeliver(tenant, "all", &shown.id, &record("x"))
            .await
            .unwrap()
    };
    assert!(!redeliver(&office.globex).await);
    assert!(redeliver(&office.acme).await);
    assert!(claim(directory, LONG).await.is_some());
}

async fn a_new_secret_signs_beside_the_old_one_for_a_while(database: TestDatabase) {
    let office = Office::new(database).await;
    let directory = &office.directory;
    let made = directory
        .write_webhook(&office.acme, "all", URL, &WebhookEvent::ALL, &record("x"))
        .await
        .unwrap();
    let WebhookWritten::Made(old) = made else {
        panic!("{made:?}");
    };
    let rotate = async |overlap| {
        let rotated = directory
            .rotate_webhook_secret(&office.acme, "all", overlap, &record("x"))
            .await;
        rotated.unwrap().unwrap()
    };
    let secrets = async || {
        office.completed(LONG).await;
        claim(directory, LONG).await.unwrap().secrets
    };
    let new = rotate(LONG).await;
    assert_eq!(secrets().await, [new, old]);
    let alone = rotate(Duration::ZERO).await;
    assert_eq!(secrets().await, [alone]);
}
