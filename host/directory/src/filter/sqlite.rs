//! Filters as SQLite's SQL.

use exeat_gate::{ColumnType, catalog};

use super::{Filter, JsonPath, JsonTest, Parameter, Part, SEARCHED, Test, TextField, TextMatch};

impl Filter {
    /// The conditions over `users AS u`, each with a leading `AND`; parameters are numbered from
    /// `first`. Columns are marked with `+` so that SQLite keeps to the primary key's order and the
    /// first row does not wait for a sort.
    pub(crate) fn sqlite(&self, first: usize) -> (String, Vec<Parameter>) {
        let mut bound = Bound {
            first,
            parameters: Vec::new(),
        };
        let mut sql = String::new();
        for expression in self.expressions() {
            // There is nothing that cannot be asked here.
            if let Some(text) = expression.sql(&mut |test| Some(ask(test, &mut bound))) {
                sql.push_str(" AND ");
                sql.push_str(&text);
            }
        }
        (sql, bound.parameters)
    }
}

struct Bound {
    first: usize,
    parameters: Vec<Parameter>,
}

impl Bound {
    fn bind(&mut self, parameter: Parameter) -> String {
        self.parameters.push(parameter);
        format!("?{}", self.first + self.parameters.len() - 1)
    }

    fn text(&mut self, text: &str) -> String {
        self.bind(Parameter::Text(text.to_owned()))
    }
}

fn ask(test: &Test, bound: &mut Bound) -> String {
    match test {
        Test::State(states) => {
            let states: Vec<String> = states.iter().map(|state| bound.text(state.name())).collect();
            format!("+u.state IN ({})", states.join(", "))
        }
        Test::Instant(column, comparison, value) | Test::Int(column, comparison, value) => {
            let value = bound.bind(Parameter::Int(*value));
            format!("+u.{column} {} {value}", comparison.operator())
        }
        Test::Flag(column, yes) => {
            format!("+u.{column} = {}", bound.bind(Parameter::Int((*yes).into())))
        }
        Test::Text(TextField::CONNECTION, how, value) => format!(
            "+u.connection_id IN (SELECT connection_id FROM connections c
                                  WHERE c.tenant_id = u.tenant_id AND {})",
            matches("c.name", true, *how, value, bound)
        ),
        // The key that users are read by: what comes before is not even looked at.
        Test::Text(TextField::USER_ID, how, value) => matches("u.user_id", true, *how, value, bound),
        Test::Text(field, how, value) => matches(
            &format!("+u.{}", field.name),
            field.exact_case,
            *how,
            value,
            bound,
        ),
        Test::Group(name) => {
            let named = name.as_ref().map(|(how, name)| {
                let named = matches("g.name", true, *how, name, bound);
                format!(" AND {named}")
            });
            format!(
                "EXISTS (SELECT 1 FROM memberships m JOIN groups g USING (group_id)
                         WHERE m.tenant_id = u.tenant_id AND m.user_id = u.user_id{})",
                named.unwrap_or_default()
            )
        }
        Test::Present("connection") => "+u.connection_id IS NOT NULL".to_owned(),
        Test::Present(column) => {
            let field = catalog().field(column);
            let is_text = field.is_some_and(|field| field.column_type == ColumnType::Utf8);
            format!("+u.{column} {}", if is_text { "<> ''" } else { "IS NOT NULL" })
        }
        Test::Json(path, test) => json(path, test, bound),
        Test::Search(text) => {
            let text = bound.text(&text.to_lowercase());
            let places = SEARCHED.map(|column| format!("instr(lower(u.{column}), {text})"));
            format!("({})", places.join(" OR "))
        }
    }
}

fn matches(sql: &str, exact_case: bool, how: TextMatch, value: &str, bound: &mut Bound) -> String {
    let (sql, value) = if exact_case {
        (sql.to_owned(), bound.text(value))
    } else {
        (
            format!("lower({})", sql.trim_start_matches('+')),
            bound.text(&value.to_ascii_lowercase()),
        )
    };
    match how {
        TextMatch::Compared(comparison) => format!("{sql} {} {value}", comparison.operator()),
        TextMatch::Part(Part::Anywhere) => format!("instr({sql}, {value}) > 0"),
        TextMatch::Part(Part::AtTheBeginning) => format!("substr({sql}, 1, length({value})) = {value}"),
        TextMatch::Part(Part::AtTheEnd) => format!("substr({sql}, -length({value})) = {value}"),
    }
}

fn json(path: &JsonPath, test: &JsonTest, bound: &mut Bound) -> String {
    let keys: Vec<String> = path.keys.iter().map(|key| format!(".\"{key}\"")).collect();
    let place = format!("u.{}, {}", path.field, bound.text(&format!("${}", keys.concat())));
    match test {
        JsonTest::Present => format!("json_extract({place}) IS NOT NULL"),
        JsonTest::Equal(value) => {
            let value = bound.text(value);
            format!(
                "(json_type({place}) = json_type({value}) \
                 AND json_extract({place}) = json_extract({value}, '$'))"
            )
        }
        JsonTest::Number(comparison, value) => {
            let (operator, value) = (comparison.operator(), bound.text(value));
            format!(
                "(json_type({place}) IN ('integer', 'real') \
                 AND json_extract({place}) {operator} json_extract({value}, '$'))"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_negated_is_made_two_valued() {
        let filter = Filter::parse(&[r#"email sw "a" and not (locale eq "de")"#]).unwrap();
        let (sql, parameters) = filter.sqlite(2);
        assert_eq!(
            sql,
            " AND (substr(lower(u.email), 1, length(?2)) = ?2 AND (NOT ((lower(u.locale) = ?3) IS TRUE)))"
        );
        assert_eq!(
            parameters,
            ["a", "de"].map(|text| Parameter::Text(text.to_owned()))
        );
    }
}
