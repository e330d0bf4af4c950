//! What can be asked of a user.

use super::Test;

/// How two values that have an order are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// As both databases write it.
    pub(crate) fn operator(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }
}

/// How a text is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextMatch {
    Compared(Comparison),
    Part(Part),
}

impl TextMatch {
    pub(crate) const EQUAL: Self = Self::Compared(Comparison::Equal);
}

/// Where one text is found in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Anywhere,
    AtTheBeginning,
    AtTheEnd,
}

/// A field of text. Nobody is kept apart by the case of names and addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TextField {
    pub(crate) name: &'static str,
    pub(crate) exact_case: bool,
}

impl TextField {
    /// Every field of text that can be asked about.
    pub(crate) const ALL: [Self; 11] = [
        Self::USER_ID,
        Self::EMAIL,
        Self::any_case("username"),
        Self::any_case("name"),
        Self::any_case("given_name"),
        Self::any_case("family_name"),
        Self::any_case("nickname"),
        Self::any_case("locale"),
        Self::exact("picture"),
        Self::exact("last_ip"),
        Self::CONNECTION,
    ];
    pub(crate) const USER_ID: Self = Self::exact("user_id");
    pub(crate) const EMAIL: Self = Self::any_case("email");
    pub(crate) const CONNECTION: Self = Self::exact("connection");

    const fn exact(name: &'static str) -> Self {
        Self {
            name,
            exact_case: true,
        }
    }

    const fn any_case(name: &'static str) -> Self {
        Self {
            name,
            exact_case: false,
        }
    }

    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|field| field.name == name)
    }
}

/// A place in a user's attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JsonPath {
    /// `custom_attributes` or `app_metadata`.
    pub(crate) field: &'static str,
    /// Keys: letters, digits, `_` and `-`. None names a credential.
    pub(crate) keys: Vec<String>,
}

/// What is asked of a value in a user's attributes. A text is equal to another or it is not: what
/// is dropped from exports because it looks like a credential must not be guessed bit by bit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JsonTest {
    Present,
    /// To a text or a truth value, as JSON.
    Equal(String),
    /// To a number, as JSON.
    Number(Comparison, String),
}

impl Test {
    /// The fields that it looks at.
    pub(crate) fn fields(&self) -> Vec<&'static str> {
        match self {
            Self::State(_) => vec!["state"],
            Self::Instant(field, ..) | Self::Int(field, ..) | Self::Flag(field, _) | Self::Present(field) => {
                vec![field]
            }
            Self::Text(field, ..) => vec![field.name],
            Self::Group(_) => vec!["groups"],
            Self::Json(path, _) => vec![path.field],
            Self::Search(_) => SEARCHED.to_vec(),
        }
    }
}

/// Fields in which `q` looks, as far as a source has them.
pub(crate) const SEARCHED: [&str; 3] = ["email", "name", "username"];
