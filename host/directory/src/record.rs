//! One user, as it is written to the directory.

/// In which state of life a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum UserState {
    Invited,
    Active,
    Suspended,
    Deleted,
}

impl UserState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Invited, Self::Active, Self::Suspended, Self::Deleted];

    /// As it stands in the database and in exports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invited => "invited",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }

    /// The state of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// A user to be written. Timestamps are microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone)]
#[expect(
    missing_docs,
    reason = "the fields are those of the directory, see fields.toml"
)]
pub struct UserRecord {
    pub user_id: String,
    /// Name of the connection; it is created where the tenant has none of this name.
    pub connection: Option<String>,
    pub username: Option<String>,
    pub email: Option<String>,
    pub email_verified: bool,
    pub phone_number: Option<String>,
    pub phone_verified: bool,
    pub name: Option<String>,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    pub nickname: Option<String>,
    pub picture: Option<String>,
    pub locale: Option<String>,
    pub state: UserState,
    pub created_at: i64,
    pub updated_at: i64,
    pub last_signed_in_at: Option<i64>,
    pub last_ip: Option<String>,
    pub logins_count: i64,
    /// A JSON object.
    pub custom_attributes: String,
    /// A JSON object.
    pub app_metadata: String,
    /// Names of groups; they are created where the tenant lacks them. Nothing: as they are.
    pub groups: Option<Vec<String>>,
    /// Nothing: as they are.
    pub identities: Option<Vec<Identity>>,
    /// Nothing: as they are.
    pub secrets: Option<Secrets>,
}

/// Shows the id, no values.
impl std::fmt::Debug for UserRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserRecord")
            .field("user_id", &self.user_id)
            .finish_non_exhaustive()
    }
}

/// A linked identity, with the federated tokens that come with it.
#[derive(Clone)]
#[expect(
    missing_docs,
    reason = "the fields are those of the directory, see fields.toml"
)]
pub struct Identity {
    pub connection: String,
    pub provider: String,
    pub subject: String,
    pub access_token: Option<String>,
    pub refresh_token: Option<String>,
    pub id_token: Option<String>,
}

/// What never leaves.
#[derive(Clone, Default)]
#[expect(
    missing_docs,
    reason = "the fields are those of the directory, see fields.toml"
)]
pub struct Secrets {
    /// Algorithm and hash.
    pub password: Option<(String, String)>,
    pub factors: Vec<Factor>,
    pub refresh_tokens: Vec<String>,
}

/// An MFA factor with its secret.
#[derive(Clone)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Factor {
    Totp { secret: String },
    WebAuthn { key: String },
    Sms { phone_number: String },
    Recovery { codes: String },
}

impl Factor {
    /// What kind it is, as it stands in the database.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Totp { .. } => "totp",
            Self::WebAuthn { .. } => "webauthn",
            Self::Sms { .. } => "sms",
            Self::Recovery { .. } => "recovery",
        }
    }

    pub(crate) fn secret(&self) -> &str {
        match self {
            Self::Totp { secret } => secret,
            Self::WebAuthn { key } => key,
            Self::Sms { phone_number } => phone_number,
            Self::Recovery { codes } => codes,
        }
    }
}

/// Shows that there is one, and no more.
macro_rules! debug_by_name {
    ($($name:ident),+) => {$(
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    )+};
}
debug_by_name!(Identity, Secrets, Factor);
