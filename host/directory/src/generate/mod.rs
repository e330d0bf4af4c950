//! Plausible, deterministic people, with secrets: for demos, tests and benchmarks.
//!
//! The same tenant size, seed and version give the same people, down to the last byte. Their
//! secrets are made up but have the real shape, so that not exporting them is a real promise.

mod people;

use data_encoding::{BASE32_NOPAD, BASE64, BASE64URL_NOPAD, HEXLOWER};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::json;
use ulid::Ulid;

use crate::record::{Factor, Identity, Secrets, UserRecord, UserState};

/// 2021-01-01T00:00:00Z, when the first of them signed up.
const EPOCH_US: i64 = 1_609_459_200_000_000;
/// Five years: the span over which they sign up.
const SPAN_US: i64 = 5 * 365 * DAY_US;
const DAY_US: i64 = 86_400 * SECOND_US;
const SECOND_US: i64 = 1_000_000;
const BCRYPT_ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Generates `count` users, in the order of their ids.
pub fn users(count: u64, seed: u64) -> impl Iterator<Item = UserRecord> {
    let mut random = Random(ChaCha8Rng::seed_from_u64(seed));
    (0..count).map(move |index| random.user(index, count))
}

struct Random(ChaCha8Rng);

impl Random {
    /// A number below `n`.
    fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n.max(1)
    }

    /// True `percent` times in a hundred.
    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }

    fn text_of(&mut self, alphabet: &[u8; 64], length: usize) -> String {
        (0..length)
            .map(|_| char::from(alphabet[self.below(64) as usize]))
            .collect()
    }

    fn user(&mut self, index: u64, count: u64) -> UserRecord {
        let step = (SPAN_US / i64::try_from(count.max(1)).unwrap_or(i64::MAX)).max(1);
        let jitter = self.below(step.unsigned_abs());
        let signed_up_at = EPOCH_US + i64::try_from(index).unwrap_or(i64::MAX) * step + jitter as i64;
        let user_id = format!("usr_{}", self.ulid(signed_up_at, index));
        // People read times to the second; ids are as exact as they come.
        let created_at = signed_up_at - signed_up_at % SECOND_US;
        let (given, given_ascii) = self.pick(&people::GIVEN_NAMES);
        let (family, family_ascii) = self.pick(&people::FAMILY_NAMES);
        let handle = format!("{given_ascii}.{family_ascii}{index}");
        let domain = self.pick(&people::DOMAINS);
        let email = format!("{handle}@{domain}");
        let last_signed_in_at = self
            .chance(85)
            .then(|| created_at + self.below(90 * 86_400) as i64 * SECOND_US);
        let connection = self.pick(&people::CONNECTIONS);
        let state = match self.below(100) {
            0..86 => UserState::Active,
            86..92 => UserState::Invited,
            92..97 => UserState::Suspended,
            _ => UserState::Deleted,
        };
        let phone_number = self.chance(60).then(|| self.phone_number());
        UserRecord {
            user_id,
            connection: Some(connection.to_owned()),
            username: self.chance(70).then(|| handle.clone()),
            email_verified: self.chance(90),
            phone_verified: phone_number.is_some() && self.chance(50),
            phone_number,
            name: self.chance(97).then(|| self.full_name(given, family)),
            given_name: self.chance(95).then(|| given.to_owned()),
            family_name: self.chance(95).then(|| family.to_owned()),
            nickname: self.chance(30).then(|| format!("{given} “{family_ascii}”")),
            picture: self
                .chance(50)
                .then(|| format!("https://cdn.example.com/avatars/{handle}.png?s=128")),
            locale: self.chance(80).then(|| self.pick(&people::LOCALES).to_owned()),
            state,
            created_at,
            updated_at: last_signed_in_at.unwrap_or(created_at),
            last_signed_in_at,
            last_ip: last_signed_in_at.map(|_| format!("203.0.113.{}", self.below(254) + 1)),
            logins_count: if last_signed_in_at.is_some() {
                self.below(500) as i64 + 1
            } else {
                0
            },
            custom_attributes: self.custom_attributes(given, family, &email),
            app_metadata: self.app_metadata(),
            groups: Some(self.groups()),
            identities: Some(self.identities(connection, &email)),
            secrets: Some(self.secrets()),
            email: Some(email),
        }
    }

    /// A ULID of the instant, unique by the index in its random part.
    fn ulid(&mut self, created_at_us: i64, index: u64) -> Ulid {
        let random = (u128::from(index) << 40) | u128::from(self.below(1 << 40));
        Ulid::from_parts((created_at_us / 1_000).unsigned_abs(), random)
    }

    /// Now and then with what breaks careless writers: commas, quotes, line breaks, formulas.
    fn full_name(&mut self, given: &str, family: &str) -> String {
        match self.below(60) {
            0 => format!("{family}, {given}"),
            1 => format!("{given} \"Ace\" {family}"),
            2 => format!("{given}\n{family}"),
            3 => format!("=HYPERLINK(\"https://example.com\",\"{given} {family}\")"),
            4 => format!("@{given} {family}"),
            5 => format!("-{given} {family}\r\n"),
            6 => format!("+{given}\t{family}"),
            7 => format!("{given} O'{family}"),
            _ => format!("{given} {family}"),
        }
    }

    fn phone_number(&mut self) -> String {
        format!("+1{:010}", 2_000_000_000 + self.below(7_999_999_999))
    }

    fn groups(&mut self) -> Vec<String> {
        let mut groups: Vec<String> = (0..self.below(6))
            .map(|_| self.pick(&people::GROUPS).to_owned())
            .collect();
        groups.sort();
        groups.dedup();
        groups
    }

    fn custom_attributes(&mut self, given: &str, family: &str, email: &str) -> String {
        let mut attributes = json!({
            "country": self.pick(&people::COUNTRIES),
            "department": self.pick(&people::DEPARTMENTS),
            "preferences": {"theme": self.pick(&["light", "dark"]), "newsletter": self.chance(40)},
            "tags": [self.pick(&people::TAGS), self.pick(&people::TAGS)],
            "score": self.below(1_000),
        });
        if self.chance(5) {
            attributes["display"] = json!(format!("{given} {family} <{email}>"));
        }
        if self.chance(3) {
            attributes["legacy"] = json!({"userPassword": self.bcrypt(), "imported": true});
        }
        if self.chance(2) {
            attributes["note"] = json!(format!("session {}", self.json_web_token()));
        }
        attributes.to_string()
    }

    fn app_metadata(&mut self) -> String {
        let mut metadata =
            json!({"plan": self.pick(&["free", "team", "enterprise"]), "seats": self.below(50)});
        if self.chance(3) {
            metadata["api_key"] = json!(HEXLOWER.encode(&self.bytes::<20>()));
        }
        metadata.to_string()
    }

    fn identities(&mut self, connection: &str, email: &str) -> Vec<Identity> {
        let mut identities = Vec::new();
        if self.chance(25) {
            identities.push(Identity {
                connection: connection.to_owned(),
                provider: "google-oauth2".to_owned(),
                subject: format!("{:021}", self.below(u64::MAX)),
                access_token: Some(format!("ya29.{}", BASE64URL_NOPAD.encode(&self.bytes::<48>()))),
                refresh_token: Some(format!("1//0{}", BASE64URL_NOPAD.encode(&self.bytes::<32>()))),
                id_token: Some(self.json_web_token()),
            });
        }
        if self.chance(10) {
            identities.push(Identity {
                connection: "corporate".to_owned(),
                provider: "samlp".to_owned(),
                subject: email.to_owned(),
                access_token: None,
                refresh_token: None,
                id_token: None,
            });
        }
        identities
    }

    fn secrets(&mut self) -> Secrets {
        let mut factors = Vec::new();
        if self.chance(30) {
            factors.push(Factor::Totp {
                secret: BASE32_NOPAD.encode(&self.bytes::<20>()),
            });
        }
        if self.chance(10) {
            factors.push(Factor::WebAuthn {
                key: BASE64.encode(&self.bytes::<64>()),
            });
        }
        if self.chance(10) {
            factors.push(Factor::Sms {
                phone_number: self.phone_number(),
            });
        }
        if !factors.is_empty() {
            let codes: Vec<String> = (0..4).map(|_| HEXLOWER.encode(&self.bytes::<8>())).collect();
            factors.push(Factor::Recovery {
                codes: codes.join(" "),
            });
        }
        let tokens = self.below(3);
        Secrets {
            password: self.chance(75).then(|| ("bcrypt".to_owned(), self.bcrypt())),
            factors,
            refresh_tokens: (0..tokens)
                .map(|_| format!("v1.{}", BASE64URL_NOPAD.encode(&self.bytes::<32>())))
                .collect(),
        }
    }

    fn bcrypt(&mut self) -> String {
        format!("$2b$10${}", self.text_of(BCRYPT_ALPHABET, 53))
    }

    fn json_web_token(&mut self) -> String {
        let payload =
            json!({"sub": HEXLOWER.encode(&self.bytes::<8>()), "iat": EPOCH_US / 1_000_000}).to_string();
        let header = BASE64URL_NOPAD.encode(br#"{"alg":"RS256","typ":"JWT"}"#);
        let payload = BASE64URL_NOPAD.encode(payload.as_bytes());
        format!(
            "{header}.{payload}.{}",
            BASE64URL_NOPAD.encode(&self.bytes::<64>())
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_people_in_the_order_of_their_ids() {
        let ids = |seed| {
            users(500, seed)
                .map(|user| (user.user_id, user.name))
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(7), ids(7));
        assert_ne!(ids(7), ids(8));
        assert!(ids(7).is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn people_have_what_breaks_careless_writers() {
        let people: Vec<UserRecord> = users(2_000, 7).collect();
        let names: Vec<&str> = people.iter().filter_map(|user| user.name.as_deref()).collect();
        for hard in [",", "\"", "\n", "=HYPERLINK", "\t", "'"] {
            assert!(names.iter().any(|name| name.contains(hard)), "{hard:?}");
        }
        assert!(names.iter().any(|name| !name.is_ascii()));
        assert!(people.iter().any(|user| user.given_name.is_none()));
        assert!(people.iter().any(|user| {
            user.secrets
                .as_ref()
                .is_some_and(|secrets| !secrets.factors.is_empty())
        }));
    }
}
