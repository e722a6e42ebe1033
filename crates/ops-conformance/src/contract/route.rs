//! Path templates: which operation a path belongs to, and what its parameters are.

use percent_encoding::percent_decode_str;
use regex::Regex;

/// A path template such as `/apps/{app}/machines/{id}`, `/v2/{+name}:cancel` or
/// `/{Bucket}/{Key+}?uploads`, compiled.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    template: String,
    regex: Regex,
    names: Vec<String>,
    rank: Vec<u8>,
    /// Query parameters that belong to the template, with their value if it has one.
    query: Vec<(String, Option<String>)>,
}

impl Route {
    /// Compiles a template. `pattern` says what a parameter may look like that spans
    /// several segments (`{+name}`, `{name+}`), where more is known than "anything".
    pub(crate) fn new(
        template: &str,
        pattern: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let (path, query) = template.split_once('?').unwrap_or((template, ""));
        let mut regex = String::from("^");
        let mut names = Vec::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after
                .split_once('}')
                .ok_or_else(|| format!("{template}: a brace is not closed"))?;
            regex.push_str(&regex::escape(before));
            let spans = name.starts_with('+') || name.ends_with('+');
            let name = name.trim_matches('+');
            let part = match pattern(name) {
                Some(pattern) if spans => pattern,
                _ if spans => ".+".to_owned(),
                _ => "[^/]+".to_owned(),
            };
            regex.push('(');
            regex.push_str(&part);
            regex.push(')');
            names.push(name.to_owned());
            rest = after;
        }
        regex.push_str(&regex::escape(rest));
        regex.push('$');
        let regex = Regex::new(&regex).map_err(|error| format!("{template}: {error}"))?;
        let query = query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| match pair.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (pair.to_owned(), None),
            })
            .collect();
        Ok(Self {
            template: template.to_owned(),
            regex,
            names,
            rank: path.split('/').map(rank).collect(),
            query,
        })
    }

    pub(crate) fn template(&self) -> &str {
        &self.template
    }

    /// The decoded parameters, if this is a path of the template. A parameter that is not
    /// UTF-8 is `None`.
    pub(crate) fn captures(&self, path: &str) -> Option<Vec<(&str, Option<String>)>> {
        let captures = self.regex.captures(path)?;
        let values = captures.iter().skip(1).flatten().map(|part| {
            let decoded = percent_decode_str(part.as_str()).decode_utf8();
            decoded.ok().map(std::borrow::Cow::into_owned)
        });
        Some(self.names.iter().map(String::as_str).zip(values).collect())
    }

    /// How specific the template is: the smaller, the more.
    pub(crate) fn rank(&self) -> &[u8] {
        &self.rank
    }

    /// Query parameters that are part of the template.
    pub(crate) fn literal_query(&self) -> &[(String, Option<String>)] {
        &self.query
    }

    /// Whether a parameter may span several segments.
    pub(crate) fn spans(&self, name: &str) -> bool {
        let forms = [format!("{{+{name}}}"), format!("{{{name}+}}")];
        forms.iter().any(|form| self.template.contains(form))
    }

    /// The path with every parameter replaced by what `value` gives for it.
    pub(crate) fn fill(&self, value: impl Fn(&str) -> String) -> String {
        let mut filled = String::new();
        let mut rest = self.template.split('?').next().unwrap_or_default();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').unwrap_or((after, ""));
            filled.push_str(before);
            filled.push_str(&value(name.trim_matches('+')));
            rest = after;
        }
        filled.push_str(rest);
        filled
    }
}

/// A literal segment before one that is partly literal before one that is a parameter
/// before one that takes the rest of the path.
fn rank(segment: &str) -> u8 {
    let whole = segment.starts_with('{') && segment.ends_with('}');
    let spans = segment.contains("{+") || segment.contains("+}");
    match (segment.contains('{'), spans, whole) {
        (false, ..) => 0,
        (true, false, false) => 1,
        (true, false, true) => 2,
        (true, true, false) => 3,
        (true, true, true) => 4,
    }
}

/// The pairs of a query string or of a form, decoded.
pub(crate) fn pairs(text: &str) -> Vec<(String, String)> {
    form_urlencoded::parse(text.as_bytes())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(template: &str) -> Route {
        Route::new(template, |_| None).unwrap()
    }

    #[test]
    fn a_segment_is_decoded_after_it_is_cut_out() {
        let route = route("/apps/{app}/x");
        let found = route.captures("/apps/a%2Fb%20c/x").unwrap();
        assert_eq!(found, [("app", Some("a/b c".to_owned()))]);
        assert!(route.captures("/apps/a/b/x").is_none());
        assert!(route.captures("/apps//x").is_none());
        let found = route.captures("/apps/%FF/x").unwrap();
        assert_eq!(found, [("app", None)]);
    }

    #[test]
    fn the_most_specific_template_comes_first() {
        let mut routes = [
            route("/{a+}"),
            route("/a/{b}"),
            route("/a/b"),
            route("/a/{b}.json"),
        ];
        routes.sort_by(|one, other| one.rank().cmp(other.rank()));
        let order: Vec<&str> = routes.iter().map(Route::template).collect();
        assert_eq!(order, ["/a/b", "/a/{b}.json", "/a/{b}", "/{a+}"]);
    }

    #[test]
    fn a_parameter_can_span_segments_and_have_a_pattern() {
        let pattern = |_: &str| Some("projects/[^/]+/things/[^/]+".to_owned());
        let route = Route::new("/v1/{+name}:run", pattern).unwrap();
        assert!(route.captures("/v1/projects/p/things/t:run").is_some());
        assert!(route.captures("/v1/projects/p/others/t:run").is_none());
    }
}
