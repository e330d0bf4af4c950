//! What must not be found: the secrets and the names of generated users.

use std::path::Path;

use aho_corasick::AhoCorasick;
use exeat_directory::{Factor, UserRecord, generate};
use serde_json::Value;

/// Texts to look for.
#[derive(Debug)]
pub struct Needles {
    texts: Vec<String>,
    automaton: AhoCorasick,
}

impl Needles {
    fn new(mut texts: Vec<String>) -> Self {
        texts.sort();
        texts.dedup();
        let automaton = AhoCorasick::new(&texts).expect("the needles fit an automaton");
        Self { texts, automaton }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.texts.len()
    }

    /// The first that is in the bytes.
    pub fn found_in(&self, bytes: &[u8]) -> Option<&str> {
        self.automaton
            .find(bytes)
            .map(|found| self.texts[found.pattern().as_usize()].as_str())
    }

    /// Fails if one is in the bytes.
    ///
    /// # Panics
    /// One is.
    pub fn assert_absent(&self, place: &str, bytes: &[u8]) {
        assert_eq!(self.found_in(bytes), None, "found in {place}");
    }

    /// Fails if one is in the file.
    ///
    /// # Panics
    /// One is, or the file cannot be read.
    pub fn assert_absent_from(&self, file: &Path) {
        self.assert_absent(
            &file.display().to_string(),
            &std::fs::read(file).expect("a readable file"),
        );
    }
}

/// Every secret that the generator plants: in the tables of secrets, and inside attributes.
pub fn secrets(count: u64, seed: u64) -> Needles {
    Needles::new(generate::users(count, seed).flat_map(secrets_of).collect())
}

fn secrets_of(user: UserRecord) -> Vec<String> {
    let mut found: Vec<String> = user.phone_number.into_iter().collect();
    for identity in user.identities.into_iter().flatten() {
        found.extend(
            [identity.access_token, identity.refresh_token, identity.id_token]
                .into_iter()
                .flatten(),
        );
    }
    let secrets = user.secrets.unwrap_or_default();
    found.extend(secrets.password.map(|(_, hash)| hash));
    found.extend(secrets.refresh_tokens);
    for factor in secrets.factors {
        match factor {
            Factor::Totp { secret } => found.push(secret),
            Factor::WebAuthn { key } => found.push(key),
            Factor::Sms { phone_number } => found.push(phone_number),
            Factor::Recovery { codes } => found.extend(codes.split(' ').map(str::to_owned)),
        }
    }
    let custom: Value = serde_json::from_str(&user.custom_attributes).unwrap_or_default();
    let app: Value = serde_json::from_str(&user.app_metadata).unwrap_or_default();
    let planted = [
        custom.pointer("/legacy/userPassword"),
        custom.pointer("/note"),
        app.pointer("/api_key"),
    ];
    found.extend(
        planted
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .map(str::to_owned),
    );
    found
}

/// Every e-mail address, name and login name of generated users.
pub fn persons(count: u64, seed: u64) -> Needles {
    let names = generate::users(count, seed).flat_map(|user| {
        [
            user.email,
            user.username,
            user.name,
            user.given_name,
            user.family_name,
            user.nickname,
            user.picture,
        ]
    });
    Needles::new(names.flatten().collect())
}
