//! A directory of two tenants, and what the tests do with the plugins of the first.

use exeat_directory::audit;
use exeat_directory::plugins::{
    AdmissionEnd, Deletion, NewLogLine, NewPlugin, PluginRecord, PluginState, Registered,
};
use exeat_directory::{Directory, Tenant};

use crate::both::{TestDatabase, record};

pub(crate) struct House {
    pub(crate) database: TestDatabase,
    pub(crate) directory: Directory,
    pub(crate) acme: Tenant,
    pub(crate) globex: Tenant,
}

impl House {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let (directory, acme, globex) = database.with_tenants().await;
        Self {
            database,
            directory,
            acme,
            globex,
        }
    }

    pub(crate) async fn register(&self, version: &str, digest: &str) -> Registered {
        let audited = record(audit::PLUGIN_UPLOADED);
        self.directory
            .register_plugin(&self.acme, &upload("mask", version, digest), &audited)
            .await
            .expect("a database that answers")
    }

    pub(crate) async fn end(&self, version: &str, digest: &str, end: &AdmissionEnd) -> bool {
        let audited = record(audit::PLUGIN_ADMITTED);
        self.directory
            .end_admission(&self.acme, "mask", version, digest, end, &audited)
            .await
            .expect("a database that answers")
    }

    pub(crate) async fn admit(&self, version: &str, digest: &str) {
        assert_eq!(self.register(version, digest).await, Registered::New);
        assert!(self.end(version, digest, &admitted()).await);
    }

    pub(crate) async fn set_state(&self, version: &str, from: &[PluginState], to: PluginState) -> bool {
        let audited = record(audit::PLUGIN_ENABLED);
        self.directory
            .set_plugin_state(&self.acme, "mask", version, from, to, None, &audited)
            .await
            .expect("a database that answers")
    }

    pub(crate) async fn trap(&self, digest: &str) -> Option<PluginState> {
        self.directory
            .note_plugin_trap(
                &self.acme,
                digest,
                3,
                "trapped",
                "it ran into unreachable code",
                "token:ops",
                "exp_1",
            )
            .await
            .expect("a database that answers")
    }

    pub(crate) async fn delete(&self, version: &str) -> Deletion {
        let audited = record(audit::PLUGIN_DELETED);
        self.directory
            .delete_plugin(&self.acme, "mask", version, &audited)
            .await
            .expect("a database that answers")
    }

    pub(crate) async fn plugin(&self, version: &str) -> PluginRecord {
        self.directory
            .plugin(&self.acme, "mask", version)
            .await
            .expect("a database that answers")
            .expect("a plugin of this version")
    }

    pub(crate) async fn latest(&self) -> Option<String> {
        let latest = self
            .directory
            .latest_plugin(&self.acme, "mask")
            .await
            .expect("a database that answers");
        latest.map(|plugin| plugin.version)
    }

    /// What was done, newest first.
    pub(crate) async fn audited(&self) -> Vec<String> {
        crate::both::audited(&self.directory, &self.acme).await
    }
}

pub(crate) fn digest(digit: char) -> String {
    format!("sha256:{}", String::from(digit).repeat(64))
}

pub(crate) fn upload(name: &str, version: &str, digest: &str) -> NewPlugin {
    NewPlugin {
        name: name.to_owned(),
        version: version.to_owned(),
        kind: "transform",
        digest: digest.to_owned(),
        bytes: 1_234,
        uploader: "token:ops".to_owned(),
    }
}

pub(crate) fn admitted() -> AdmissionEnd {
    AdmissionEnd::Admitted {
        summary: "Masks names".to_owned(),
        config_schema: Some(r#"{"type":"object"}"#.to_owned()),
        reads: vec!["email".to_owned(), "name".to_owned()],
        admission: r#"{"compile_ms":12}"#.to_owned(),
    }
}

pub(crate) fn refused() -> AdmissionEnd {
    AdmissionEnd::Refused {
        code: "imports".to_owned(),
        reason: "it imports what no plugin is given".to_owned(),
    }
}

pub(crate) fn lines(range: std::ops::Range<u32>) -> Vec<NewLogLine> {
    range
        .map(|number| NewLogLine {
            at: i64::from(number),
            level: "info",
            text: format!("line {number}"),
        })
        .collect()
}
