//! What a credential looks like: as a key's name, and as a value.

use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};
use serde::Serialize;

/// A kind of credential that is known by its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialShape {
    /// bcrypt, a PHC string (argon2, scrypt, pbkdf2, …), crypt(3), or an LDAP `{SSHA}` value.
    PasswordHash,
    /// A one-time-password key URI (`otpauth:`).
    OtpUri,
    /// A key in PEM armour (RFC 7468, and OpenPGP's).
    PemKey,
    /// A signed or encrypted JSON Web Token (RFC 7519).
    JsonWebToken,
    /// An API token of Exeat's own.
    ApiToken,
}

const SHAPES: [(CredentialShape, &str); 5] = [
    (
        CredentialShape::PasswordHash,
        concat!(
            r"\$2[abxy]?\$[0-9]{2}\$[./A-Za-z0-9]{22}",
            r"|\$(?:argon2(?:id|i|d)|scrypt|bcrypt(?:-sha256)?|pbkdf2(?:-sha(?:1|256|512))?|balloon)\$[A-Za-z0-9=,./$+-]{8}",
            r"|\$(?:1|5|6|7|y|gy|md5|sha1)\$[./A-Za-z0-9=,]{1,64}\$(?:[./A-Za-z0-9]{1,64}\$)?[./A-Za-z0-9]{22}",
            r"|\{(?:S?SHA(?:224|256|384|512)?|S?MD5|CRYPT|PBKDF2[A-Z0-9_-]*|ARGON2)\}[A-Za-z0-9+/=$.]{16}",
        ),
    ),
    (
        CredentialShape::OtpUri,
        r"(?:otpauth|OTPAUTH|Otpauth)(?:-migration)?:",
    ),
    (
        CredentialShape::PemKey,
        r"-----BEGIN [A-Z0-9 ]*KEY(?: BLOCK)?-----",
    ),
    (
        CredentialShape::JsonWebToken,
        r"eyJ[A-Za-z0-9_-]{8,}\.(?:eyJ[A-Za-z0-9_-]{4,}\.|[A-Za-z0-9_-]*\.[A-Za-z0-9_-]{8,}\.)",
    ),
    (CredentialShape::ApiToken, r"exeat_[A-Za-z0-9]{40}"),
];

fn compile(pattern: &str) -> Regex {
    RegexBuilder::new(pattern)
        .unicode(false)
        .build()
        .expect("the patterns are tested")
}

/// The first credential in a text, if there is one. Linear in the text's length.
pub fn find_credential(text: &[u8]) -> Option<CredentialShape> {
    static ANY: LazyLock<Regex> =
        LazyLock::new(|| compile(&SHAPES.map(|(_, pattern)| format!("(?:{pattern})")).join("|")));
    static EACH: LazyLock<[(CredentialShape, Regex); 5]> =
        LazyLock::new(|| SHAPES.map(|(shape, pattern)| (shape, compile(pattern))));
    if !ANY.is_match(text) {
        return None;
    }
    EACH.iter()
        .find(|(_, pattern)| pattern.is_match(text))
        .map(|(shape, _)| *shape)
}

/// Whether JSON text might hold a credential, as a key or as a value, in any spelling that
/// JSON allows. False says no for certain; true means that someone must parse it.
///
/// Keys are compared without their separators, so a separator may stand between any two letters.
pub(crate) fn may_hold_credential(json: &[u8]) -> bool {
    first_hint(json, 0).is_some()
}

/// Where the first hint begins that begins at `from` or later: what [`may_hold_credential`] looks
/// for. Texts that lie end to end are looked through in one go; what seems to begin in one of
/// them and to end in another is a hint, too, and does no harm.
pub(crate) fn first_hint(json: &[u8], from: usize) -> Option<usize> {
    static HINTS: LazyLock<Regex> = LazyLock::new(|| {
        let words = KEY_HINTS.map(|word| {
            let letters: Vec<String> = word.chars().map(String::from).collect();
            letters.join(SEPARATOR)
        });
        compile(&format!(r"(?i:{})|{VALUE_HINTS}", words.join("|")))
    });
    HINTS.find_at(json, from).map(|hint| hint.start())
}

/// One of these is in every key that names a credential, or something that never leaves.
const KEY_HINTS: [&str; 20] = [
    "pass",
    "pwd",
    "secret",
    "token",
    "otp",
    "private",
    "credential",
    "apikey",
    "accesskey",
    "signingkey",
    "recovery",
    "backup",
    "mnemonic",
    "seed",
    "jwt",
    "phone",
    "mfa",
    "webauthn",
    "pseudonym",
    "hash",
];
/// What may stand between two letters of a key's word: anything but letters, digits and the
/// quotes that end the key.
const SEPARATOR: &str = r#"[^A-Za-z0-9"]*"#;
/// How values that are credentials begin, also where JSON escapes the rest; and the Kelvin sign,
/// whose lower case is a `k`.
const VALUE_HINTS: &str = r"\$[A-Za-z0-9-]{1,16}\$|\{[A-Z0-9_-]{3,16}\}|-----BEGIN|eyJ|exeat_|\\[u\x22]|(?i:id[^A-Za-z0-9\x22]*token)|\xE2\x84\xAA";

/// Whether a key's name says that its value is a credential: `password`, `clientSecret`,
/// `refresh_token`, `totp`, `privateKey`, … but not `passport`, `secretary` or `tokenizer`.
pub fn is_credential_key(key: &str) -> bool {
    let words = words(key);
    let squashed = words.concat();
    words.iter().any(|word| WORDS.contains(&word.as_str()))
        || INSIDE.iter().any(|part| squashed.contains(part))
        || ENDINGS.iter().any(|ending| squashed.ends_with(ending))
}

/// Words that make a key a credential's wherever they stand.
const WORDS: [&str; 19] = [
    "password",
    "passwords",
    "passwd",
    "pwd",
    "passphrase",
    "passcode",
    "secret",
    "secrets",
    "token",
    "tokens",
    "otp",
    "totp",
    "hotp",
    "otpauth",
    "credential",
    "credentials",
    "mnemonic",
    "jwt",
    "apikey",
];

/// Parts that make it one even in a name without separators.
const INSIDE: [&str; 15] = [
    "password",
    "passwd",
    "passphrase",
    "privatekey",
    "secretkey",
    "apikey",
    "accesskey",
    "signingkey",
    "accesstoken",
    "refreshtoken",
    "recoverycode",
    "backupcode",
    "otpauth",
    "seedphrase",
    "clientsecret",
];

/// Endings that do.
const ENDINGS: [&str; 5] = ["token", "tokens", "secret", "secrets", "pwd"];

/// The words of a name in snake, kebab, dotted, spaced or camel case, in lower case: `APITokens`
/// is `api` and `tokens`.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut previous = ' ';
    let mut rest = name.chars().peekable();
    while let Some(c) = rest.next() {
        let after_lower = c.is_uppercase() && (previous.is_lowercase() || previous.is_numeric());
        let ends_acronym = c.is_uppercase()
            && previous.is_uppercase()
            && rest.peek().is_some_and(|next| next.is_lowercase());
        if !c.is_alphanumeric() || after_lower || ends_acronym {
            words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        previous = c;
    }
    words.extend((!word.is_empty()).then_some(word));
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::catalog;

    #[test]
    fn credentials_are_known_by_their_shape() {
        let cases: [(&str, CredentialShape); 12] = [
            (
                "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
                CredentialShape::PasswordHash,
            ),
            (
                "x $argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA",
                CredentialShape::PasswordHash,
            ),
            (
                "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q",
                CredentialShape::PasswordHash,
            ),
            (
                "$6$rounds=5000$saltsalt$0123456789abcdefghijklmnop",
                CredentialShape::PasswordHash,
            ),
            (
                "{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr",
                CredentialShape::PasswordHash,
            ),
            (
                "otpauth://totp/Acme:anita?secret=JBSWY3DPEHPK3PXP",
                CredentialShape::OtpUri,
            ),
            ("-----BEGIN PRIVATE KEY-----\nMIG", CredentialShape::PemKey),
            ("-----BEGIN OPENSSH PRIVATE KEY-----", CredentialShape::PemKey),
            ("-----BEGIN PGP PRIVATE KEY BLOCK-----", CredentialShape::PemKey),
            (
                "Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
                CredentialShape::JsonWebToken,
            ),
            (
                "eyJhbGciOiJkaXIiLCJlbmMiOiJB..MTIzNDU2Nzg.Y2lwaGVy.dGFn",
                CredentialShape::JsonWebToken,
            ),
            (
                "exeat_0123456789012345678901234567890123456789",
                CredentialShape::ApiToken,
            ),
        ];
        for (text, shape) in cases {
            assert_eq!(find_credential(text.as_bytes()), Some(shape), "{text}");
            assert!(may_hold_credential(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn ordinary_text_is_no_credential() {
        for text in [
            "Anita Singh",
            "costs $2 or $3",
            "{SHA}",
            "eyJ",
            "pays $1$ a day",
            "BEGIN PRIVATE KEY",
            "",
        ] {
            assert_eq!(find_credential(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn keys_tell_what_they_hold() {
        for key in [
            "password",
            "Password",
            "userPassword",
            "old-password",
            "client_secret",
            "clientSecret",
            "refreshToken",
            "accesstoken",
            "totp",
            "mfa.otp",
            "privateKey",
            "api_key",
            "recovery_codes",
            "authtoken",
            "db pwd",
            "APITokens",
            "OTPCode",
            "to-ken",
            "Access  Key",
            "API - Key",
            "p a s s w o r d",
            "pass....word",
        ] {
            assert!(is_credential_key(key), "{key}");
            assert!(may_hold_credential(key.as_bytes()), "{key}");
        }
        for key in [
            "passport_number",
            "compass",
            "secretary",
            "tokenizer",
            "country",
            "hotel",
            "keyboard",
        ] {
            assert!(!is_credential_key(key), "{key}");
        }
    }

    proptest::proptest! {
        /// The hint may not miss a key that the key rules know, however it is spelt.
        #[test]
        fn no_spelling_of_a_key_escapes_the_hint(
            word in proptest::sample::select(
                WORDS.into_iter().chain(INSIDE).chain(catalog().never_names().map(|(name, _)| name)).collect::<Vec<_>>()
            ),
            separators in proptest::collection::vec("[-_. :\"\\\\é]{0,3}", 24),
            upper in proptest::collection::vec(proptest::bool::ANY, 24),
        ) {
            let spelt: String = word.chars().zip(&separators).zip(&upper)
                .map(|((c, separator), upper)| if *upper { format!("{separator}{}", c.to_uppercase()) } else { format!("{separator}{c}") })
                .collect();
            let json = serde_json::json!({ spelt.as_str(): 1 }).to_string();
            if is_credential_key(&spelt) || catalog().never(&spelt).is_some() {
                proptest::prop_assert!(may_hold_credential(json.as_bytes()), "{json}");
            }
        }
    }
}
