//! Fragments of SQL in a source definition, looked through before any database sees them.
//!
//! They are the operator's, who may read the database anyway: this keeps mistakes from becoming
//! leaks. A fragment is an expression or a FROM clause; it names its columns one by one, and none
//! that never leaves. What goes around that (whole rows, `*`, renamed columns, functions that run
//! SQL of their own) is refused. Statements run in a read-only transaction all the same.

use exeat_gate::catalog;

/// Functions that reach past the columns that a fragment names.
const FUNCTIONS_THAT_REACH_FURTHER: [&str; 10] = [
    "pg_",
    "lo_",
    "dblink",
    "query_to_",
    "table_to_",
    "schema_to_",
    "database_to_",
    "cursor_to_",
    "set_config",
    "current_setting",
];

/// Words after which a table stands.
const BEFORE_TABLES: [&str; 4] = ["from", "join", "only", "lateral"];

/// Words that may follow a table and are not its alias.
const AFTER_TABLES: [&str; 23] = [
    "where",
    "on",
    "join",
    "left",
    "right",
    "inner",
    "full",
    "cross",
    "natural",
    "order",
    "group",
    "union",
    "limit",
    "having",
    "using",
    "offset",
    "fetch",
    "except",
    "intersect",
    "and",
    "or",
    "then",
    "else",
];

/// Words before a `*` that is no multiplication.
const BEFORE_STARS: [&str; 4] = ["select", "distinct", "all", "returning"];

/// A column that never leaves, by the name of its table without the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NeverColumn {
    pub(crate) table: String,
    pub(crate) column: String,
}

/// A table of a FROM clause and the name that it goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableRef {
    pub(crate) alias: String,
    /// With its schema, where it is written with one.
    pub(crate) table: Vec<String>,
}

impl TableRef {
    fn name(&self) -> &str {
        self.table.last().map_or("", String::as_str)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word { text: String, quoted: bool },
    Number,
    Literal,
    Placeholder,
    Symbol(char),
}

impl Token {
    fn word(&self) -> Option<&str> {
        match self {
            Self::Word { text, .. } => Some(text),
            _ => None,
        }
    }

    fn is_keyword(&self, words: &[&str]) -> bool {
        matches!(self, Self::Word { text, quoted: false } if words.contains(&text.as_str()))
    }
}

/// What a fragment is checked against.
pub(crate) struct Rules<'a> {
    /// Columns that never leave.
    pub(crate) never: &'a [NeverColumn],
    /// Tables of the FROM clause that the fragment is used with.
    pub(crate) tables: &'a [TableRef],
    /// Whether it is the number of which only the last four digits leave.
    pub(crate) phone: bool,
}

/// Looks a fragment through; says which tables it reads itself.
///
/// # Errors
/// What is wrong with it, as a sentence without its beginning.
pub(crate) fn check(text: &str, rules: &Rules<'_>) -> Result<Vec<TableRef>, String> {
    let tokens = tokens(text)?;
    if tokens.is_empty() {
        return Err("is empty".to_owned());
    }
    stars(&tokens)?;
    if tokens.iter().any(|token| token.is_keyword(&["table"])) {
        return Err("writes TABLE, which takes whole rows; name the columns".to_owned());
    }
    let (own, at_tables) = tables(&tokens, rules)?;
    let known: Vec<&TableRef> = rules.tables.iter().chain(&own).collect();
    let mut at = 0;
    while at < tokens.len() {
        let parts = name_at(&tokens, at);
        if parts.is_empty() {
            at += 1;
            continue;
        }
        let after = at + 2 * parts.len() - 1;
        if !at_tables.contains(&at) {
            let call = tokens.get(after) == Some(&Token::Symbol('('));
            name(&parts, call, &known, rules)?;
        }
        at = after;
    }
    Ok(own)
}

/// The column of a fragment that is one, cast to text or not: its table's alias and its name.
pub(crate) fn column_of(text: &str) -> Option<(String, String)> {
    let tokens = tokens(text).ok()?;
    let [
        Token::Word { text: alias, .. },
        Token::Symbol('.'),
        Token::Word { text: column, .. },
        cast @ ..,
    ] = tokens.as_slice()
    else {
        return None;
    };
    let to_text = match cast {
        [] => true,
        [Token::Symbol(':'), Token::Symbol(':'), cast] => cast.is_keyword(&["text"]),
        _ => false,
    };
    to_text.then(|| (alias.clone(), column.clone()))
}

/// Every column that a fragment names with its table's alias.
pub(crate) fn columns(text: &str) -> Vec<(String, String)> {
    let tokens = tokens(text).unwrap_or_default();
    let names = (0..tokens.len()).map(|at| name_at(&tokens, at));
    names
        .filter_map(|parts| match parts.as_slice() {
            [alias, column] => Some((alias.to_string(), column.to_string())),
            _ => None,
        })
        .collect()
}

fn name(parts: &[&str], call: bool, known: &[&TableRef], rules: &Rules<'_>) -> Result<(), String> {
    let (column, qualifier) = match parts {
        [column] => (*column, None),
        [.., qualifier, column] => (*column, Some(*qualifier)),
        [] => return Ok(()),
    };
    if call
        && FUNCTIONS_THAT_REACH_FURTHER
            .iter()
            .any(|reach| column.starts_with(reach))
    {
        return Err(format!(
            "calls {column}, which reaches past the columns that it names"
        ));
    }
    if qualifier.is_none()
        && known
            .iter()
            .any(|table| table.alias == column || table.name() == column)
    {
        return Err(format!("takes whole rows of {column}; name the columns"));
    }
    let tables: Vec<&str> = known
        .iter()
        .filter(|table| Some(table.alias.as_str()) == qualifier)
        .map(|table| table.name())
        .collect();
    let never = rules.never.iter().find(|never| {
        never.column == column && (tables.is_empty() || tables.contains(&never.table.as_str()))
    });
    if let Some(never) = never {
        return Err(format!(
            "mentions {}.{}, which never leaves",
            never.table, never.column
        ));
    }
    match catalog().never(column) {
        Some(why) if !(rules.phone && column.contains("phone")) => {
            Err(format!("mentions {column}, which never leaves: {why}"))
        }
        _ => Ok(()),
    }
}

/// The tables that a fragment reads, and where their names and aliases stand.
fn tables(tokens: &[Token], rules: &Rules<'_>) -> Result<(Vec<TableRef>, Vec<usize>), String> {
    let (mut found, mut at_tables): (Vec<TableRef>, Vec<usize>) = (Vec::new(), Vec::new());
    for at in 1..tokens.len() {
        if !tokens[at - 1].is_keyword(&BEFORE_TABLES) || tokens[at].is_keyword(&BEFORE_TABLES) {
            continue;
        }
        let parts = name_at(tokens, at);
        let Some(first) = parts.first() else { continue };
        let mut after = at + 2 * parts.len() - 1;
        let is_alias = |name: &str| rules.tables.iter().any(|table| table.alias == name);
        let call = tokens.get(after) == Some(&Token::Symbol('('));
        // `extract(epoch FROM u.created_at)` reads a column there, no table.
        if call || (parts.len() > 1 && is_alias(first)) {
            continue;
        }
        if is_alias(first) && rules.tables.iter().all(|table| table.name() != *first) {
            return Err(format!("takes whole rows of {first}; name the columns"));
        }
        at_tables.push(at);
        if tokens.get(after).is_some_and(|token| token.is_keyword(&["as"])) {
            after += 1;
        }
        let alias = match tokens.get(after) {
            Some(token @ Token::Word { text, .. }) if !token.is_keyword(&AFTER_TABLES) => {
                at_tables.push(after);
                after += 1;
                text.as_str()
            }
            _ => parts[parts.len() - 1],
        };
        match tokens.get(after) {
            None | Some(Token::Symbol(')') | Token::Word { .. }) => {}
            Some(Token::Symbol('(')) => return Err("gives a table's columns other names".to_owned()),
            Some(Token::Symbol(',')) => return Err("lists tables with a comma; write JOIN".to_owned()),
            Some(_) => return Err(format!("takes whole rows of {alias}; name the columns")),
        }
        found.push(TableRef {
            alias: alias.to_owned(),
            table: parts.iter().map(|part| part.to_string()).collect(),
        });
    }
    Ok((found, at_tables))
}

/// The words of the dotted name that begins here; none where none does.
fn name_at(tokens: &[Token], at: usize) -> Vec<&str> {
    let mut parts = Vec::new();
    if at > 0 && tokens[at - 1] == Token::Symbol('.') {
        return parts;
    }
    let mut at = at;
    while let Some(word) = tokens.get(at).and_then(Token::word) {
        parts.push(word);
        if tokens.get(at + 1) != Some(&Token::Symbol('.')) {
            break;
        }
        at += 2;
    }
    parts
}

fn stars(tokens: &[Token]) -> Result<(), String> {
    for (at, token) in tokens.iter().enumerate() {
        if *token != Token::Symbol('*') {
            continue;
        }
        let before = at.checked_sub(1).map(|at| &tokens[at]);
        let after = tokens.get(at + 1);
        let counts = before == Some(&Token::Symbol('('))
            && after == Some(&Token::Symbol(')'))
            && at >= 2
            && tokens[at - 2].is_keyword(&["count"]);
        let operand_before = match before {
            Some(Token::Symbol(symbol)) => *symbol == ')',
            Some(word) => !word.is_keyword(&BEFORE_STARS),
            None => false,
        };
        let operand_after = match after {
            Some(Token::Symbol(symbol)) => *symbol == '(',
            Some(word) => !word.is_keyword(&["from"]),
            None => false,
        };
        let multiplies = operand_before && operand_after;
        if !counts && !multiplies {
            return Err("has a *; name the columns".to_owned());
        }
    }
    Ok(())
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut depth = 0_usize;
    let mut rest = text.char_indices().peekable();
    while let Some((at, c)) = rest.next() {
        let tail = &text[at..];
        match c {
            ' ' | '\n' | '\t' => {}
            ';' => return Err("has a semicolon".to_owned()),
            _ if tail.starts_with("--") || tail.starts_with("/*") => return Err("has a comment".to_owned()),
            '\'' | '"' => {
                let glued = text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '&');
                let length = quoted_length(tail, c).ok_or("has a quote that does not end")?;
                let inside = &tail[1..length - 1];
                if glued || inside.contains(['\\', '\0']) || inside.contains("{tenant") {
                    return Err("has a text with escapes or a placeholder in it".to_owned());
                }
                while rest.next_if(|(next, _)| *next < at + length).is_some() {}
                tokens.push(if c == '"' {
                    Token::Word {
                        text: inside.replace("\"\"", "\""),
                        quoted: true,
                    }
                } else {
                    Token::Literal
                });
            }
            '{' => {
                let placeholder = [TENANT, TENANT_ID]
                    .into_iter()
                    .find(|name| tail.starts_with(name));
                let length = placeholder.ok_or("has a placeholder other than {tenant}")?.len();
                while rest.next_if(|(next, _)| *next < at + length).is_some() {}
                tokens.push(Token::Placeholder);
            }
            c if c.is_alphabetic() || c == '_' => {
                let length = tail
                    .find(|c: char| !(c.is_alphanumeric() || c == '_'))
                    .unwrap_or(tail.len());
                while rest.next_if(|(next, _)| *next < at + length).is_some() {}
                tokens.push(Token::Word {
                    text: tail[..length].to_ascii_lowercase(),
                    quoted: false,
                });
            }
            c if c.is_ascii_digit() => {
                while rest
                    .next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '.')
                    .is_some()
                {}
                tokens.push(Token::Number);
            }
            '(' | '[' => {
                depth += 1;
                tokens.push(Token::Symbol(c));
            }
            ')' | ']' => {
                depth = depth.checked_sub(1).ok_or("closes what it did not open")?;
                tokens.push(Token::Symbol(c));
            }
            c if ",.:+-*/%<>=!|&#~^?@".contains(c) => tokens.push(Token::Symbol(c)),
            c => return Err(format!("has a {c:?}, which has no place in it")),
        }
    }
    if depth > 0 {
        return Err("opens what it does not close".to_owned());
    }
    Ok(tokens)
}

/// Placeholder of the tenant's name.
pub(crate) const TENANT: &str = "{tenant}";
/// Placeholder of the tenant's key in Exeat's own tables.
pub(crate) const TENANT_ID: &str = "{tenant_id}";

/// Bytes of what is quoted at the beginning of a text, both quotes included.
fn quoted_length(text: &str, quote: char) -> Option<usize> {
    let mut at = 1;
    loop {
        at += text[at..].find(quote)? + 1;
        if !text[at..].starts_with(quote) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests;
