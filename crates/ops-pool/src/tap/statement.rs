//! Whether a statement can change the state of its session.
//!
//! The answer is yes unless the statement is made of parts that are known not to. It is
//! read as PostgreSQL's scanner reads it, as far as that matters: strings, quoted names and
//! comments hide what is in them. Where the reading depends on a setting
//! (`standard_conforming_strings`), the answer is yes.

mod scan;
#[cfg(test)]
mod tests;

use scan::{Scanner, Token};

/// How a statement begins that only reads, ends or begins a transaction, or changes rows
/// without drawing from a sequence. `INSERT` and `MERGE` do draw, by the defaults of their
/// columns, and `lastval()` is state of a session.
const BEGINNINGS: &[&str] = &[
    "abort",
    "begin",
    "commit",
    "delete",
    "end",
    "release",
    "rollback",
    "savepoint",
    "select",
    "show",
    "start",
    "table",
    "update",
    "values",
    "with",
];

/// What makes one of them change the session, or draw from a sequence, after all. An `UPDATE` of
/// the view `pg_settings` sets parameters.
const TRACES: &[&str] = &["default", "insert", "into", "merge", "pg_settings"];

/// What stands before a parenthesis without being a function, beside [`FUNCTIONS`]: key
/// words, and types with a modifier.
#[rustfmt::skip]
const KEYWORDS: &[&str] = &[
    "all", "and", "any", "array", "as", "between", "bit", "by", "case", "cast", "char",
    "character", "coalesce", "dec", "decimal", "distinct", "else", "except", "exists", "extract",
    "filter", "float", "from", "greatest", "group", "grouping", "having", "ilike", "in",
    "intersect", "interval", "join", "lateral", "least", "like", "limit", "not", "nullif",
    "numeric", "offset", "on", "only", "or", "over", "overlay", "position", "returning", "row",
    "select", "some", "substring", "then", "time", "timestamp", "to", "trim", "union", "using",
    "values", "varchar", "when", "where", "with", "within",
];

/// Functions of `pg_catalog` that change nothing.
#[rustfmt::skip]
const FUNCTIONS: &[&str] = &[
    "abs", "age", "array_agg", "array_append", "array_cat", "array_length", "array_position",
    "array_prepend", "array_remove", "array_replace", "array_to_json", "array_to_string",
    "array_upper", "avg", "bit_and", "bit_or", "bool_and", "bool_or", "btrim", "cardinality",
    "ceil", "ceiling", "char_length", "character_length", "chr", "clock_timestamp", "concat",
    "concat_ws", "convert_from", "convert_to", "corr", "count", "cume_dist", "current_database",
    "current_schema", "current_setting", "date_bin", "date_part", "date_trunc", "decode",
    "dense_rank", "encode", "every", "exp", "first_value", "floor", "format", "format_type",
    "gen_random_uuid", "generate_series", "generate_subscripts", "hashtext", "hashtextextended",
    "initcap", "isfinite", "json_agg", "json_array_elements", "json_array_elements_text",
    "json_array_length", "json_build_array", "json_build_object", "json_each", "json_each_text",
    "json_object", "json_object_agg", "json_object_keys", "json_typeof", "jsonb_agg",
    "jsonb_array_elements", "jsonb_array_elements_text", "jsonb_array_length",
    "jsonb_build_array", "jsonb_build_object", "jsonb_each", "jsonb_each_text", "jsonb_insert",
    "jsonb_object", "jsonb_object_agg", "jsonb_object_keys", "jsonb_path_exists",
    "jsonb_path_query", "jsonb_pretty", "jsonb_set", "jsonb_strip_nulls", "jsonb_typeof", "lag",
    "last_value", "lead", "left", "length", "ln", "log", "lower", "lpad", "ltrim", "make_date",
    "make_interval", "make_timestamp", "make_timestamptz", "max", "md5", "min", "mod", "mode",
    "now", "nth_value", "ntile", "num_nonnulls", "num_nulls", "numrange", "octet_length",
    "percent_rank", "percentile_cont", "percentile_disc", "pg_backend_pid", "pg_sleep",
    "pg_typeof", "plainto_tsquery", "power", "quote_ident", "quote_literal", "quote_nullable",
    "random", "rank", "regexp_match", "regexp_matches", "regexp_replace",
    "regexp_split_to_array", "regexp_split_to_table", "repeat", "replace", "reverse", "right",
    "round", "row_number", "row_to_json", "rpad", "rtrim", "sha256", "sign", "split_part",
    "sqrt", "starts_with", "statement_timestamp", "stddev", "string_agg", "string_to_array",
    "strpos", "substr", "sum", "timezone", "to_char", "to_date", "to_json", "to_jsonb",
    "to_number", "to_regclass", "to_timestamp", "to_tsquery", "to_tsvector",
    "transaction_timestamp", "translate", "trunc", "ts_rank", "tsrange", "tstzrange", "unnest",
    "upper", "variance", "version", "width_bucket",
];

/// Whether no statement of a query changes the state of its session, for certain.
pub(super) fn leaves_no_trace(query: &str) -> bool {
    let mut tokens = Scanner::new(query);
    loop {
        match tokens.next() {
            None => return tokens.is_sure(),
            Some(Token::Semicolon) => {}
            Some(Token::Word(word)) if is_in(BEGINNINGS, word) => {
                match rest_leaves_no_trace(&mut tokens) {
                    Rest::Trace => return false,
                    Rest::End => return tokens.is_sure(),
                    Rest::Semicolon => {}
                }
            }
            Some(_) => return false,
        }
    }
}

enum Rest {
    Trace,
    Semicolon,
    End,
}

/// Reads a statement to its end.
fn rest_leaves_no_trace(tokens: &mut Scanner<'_>) -> Rest {
    let mut called = Name::default();
    while let Some(token) = tokens.next() {
        match token {
            Token::Semicolon => return Rest::Semicolon,
            Token::Word(word) | Token::Quoted(word) if is_in(TRACES, word) => return Rest::Trace,
            Token::Word(_) | Token::Quoted(_) => called = called.then(token),
            Token::Dot => called.dotted = called.last.is_some(),
            Token::Open if !called.is_known() => return Rest::Trace,
            Token::Open | Token::Other => called = Name::default(),
        }
    }
    Rest::End
}

/// The name that a parenthesis would call.
#[derive(Clone, Copy, Debug, Default)]
struct Name<'a> {
    /// What is in front of the last dot.
    before: Option<Token<'a>>,
    last: Option<Token<'a>>,
    dotted: bool,
    /// It has three parts or more.
    long: bool,
}

impl<'a> Name<'a> {
    fn then(self, part: Token<'a>) -> Self {
        Self {
            before: self.last.filter(|_| self.dotted),
            last: Some(part),
            dotted: false,
            long: self.dotted && (self.long || self.before.is_some()),
        }
    }

    fn is_known(self) -> bool {
        match (self.before, self.last) {
            (_, None) => true,
            (None, Some(Token::Word(name))) => is_in(KEYWORDS, name) || is_in(FUNCTIONS, name),
            (Some(Token::Word(schema)), Some(Token::Word(name))) => {
                !self.long && schema.eq_ignore_ascii_case("pg_catalog") && is_in(FUNCTIONS, name)
            }
            _ => false,
        }
    }
}

/// The words are in order.
fn is_in(words: &[&str], word: &str) -> bool {
    let word = word.bytes().map(|byte| byte.to_ascii_lowercase());
    let found = words.binary_search_by(|it| it.bytes().cmp(word.clone()));
    found.is_ok()
}
