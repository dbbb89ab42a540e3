//! The words of the pages, all of them in `assets/texts/`, a folder a language (Project Fluent's format).
//!
//! A template asks for a text by its id: `{{ frame.t("sign-in") }}`. A test holds every id that is used against those
//! that there are, so a text cannot be missing at run time.

use std::borrow::Cow;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use patron_core::limits;
use patron_store::pats::numbers::WEEKS;
use unic_langid::LanguageIdentifier;

/// The files of the one language that there is, in no particular order.
const ENGLISH: &[&str] = &[
    include_str!("../../../../assets/texts/en/account.ftl"),
    include_str!("../../../../assets/texts/en/admin_tokens.ftl"),
    include_str!("../../../../assets/texts/en/audit.ftl"),
    include_str!("../../../../assets/texts/en/errors.ftl"),
    include_str!("../../../../assets/texts/en/frame.ftl"),
    include_str!("../../../../assets/texts/en/identities.ftl"),
    include_str!("../../../../assets/texts/en/tokens.ftl"),
];

/// The limits of the rules, by the names that texts call them by: `{ NAME_CHARS() }`.
const LIMITS: &[(&str, u64)] = &[
    ("NAME_CHARS", limits::NAME_CHARS as u64),
    ("PASSWORD_CHARS", limits::PASSWORD_CHARS as u64),
    ("PASSWORD_MIN_CHARS", limits::PASSWORD_MIN_CHARS as u64),
    ("VALIDITY_MIN_SECONDS", limits::VALIDITY_MIN_SECONDS as u64),
    ("VALIDITY_MAX_SECONDS", limits::VALIDITY_MAX_SECONDS as u64),
    ("VALIDITY_MAX_HOURS", limits::VALIDITY_MAX_SECONDS as u64 / 3_600),
    ("CHART_WEEKS", WEEKS as u64),
];

static TEXTS: LazyLock<Texts> = LazyLock::new(|| Texts::new("en", ENGLISH));

/// The texts of one language.
pub struct Texts {
    bundle: FluentBundle<FluentResource>,
    /// For the `lang` attribute.
    language: &'static str,
}

/// The texts of the language that the pages speak.
pub fn texts() -> &'static Texts {
    &TEXTS
}

impl Texts {
    fn new(language: &'static str, files: &[&str]) -> Self {
        let locale: LanguageIdentifier = language.parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![locale]);
        // Names stand in `<bdi>` elements; marks in the text would come along when it is copied.
        bundle.set_use_isolating(false);
        bundle.set_formatter(Some(|value, _| match value {
            FluentValue::Number(number) => Some(grouped(number.value)),
            _ => None,
        }));
        for (name, limit) in LIMITS {
            // Each name stands once in the table, which is all that is refused.
            let _ = bundle.add_function(name, |_, _| number(*limit));
        }
        for file in files {
            // What can be read is taken; the tests refuse a file with an error in it.
            let resource = FluentResource::try_new((*file).to_owned()).unwrap_or_else(|(partial, _)| partial);
            bundle.add_resource_overriding(resource);
        }
        Self { bundle, language }
    }

    /// The language as RFC 5646 names it.
    pub fn language(&self) -> &'static str {
        self.language
    }

    /// Whether there is a text of this id.
    pub fn has(&self, id: &str) -> bool {
        self.bundle.has_message(id)
    }

    /// The text of this id; the id itself where there is none.
    pub fn get(&self, id: &str) -> String {
        self.format(id, None)
    }

    /// The text of this id about a number, `$count` in it.
    pub fn count(&self, id: &str, count: u64) -> String {
        self.counts(id, &[("count", count)])
    }

    /// The text of this id about some numbers, each with the name that it has in the text.
    pub fn counts(&self, id: &str, numbers: &[(&str, u64)]) -> String {
        let arguments = numbers.iter().map(|(name, value)| ((*name).to_owned(), number(*value)));
        self.format(id, Some(&arguments.collect::<FluentArgs<'_>>()))
    }

    /// The text of this id with something in the place of `$what`.
    pub fn with(&self, id: &str, what: &str, value: &str) -> String {
        let arguments = [(what.to_owned(), FluentValue::from(value))];
        self.format(id, Some(&arguments.into_iter().collect::<FluentArgs<'_>>()))
    }

    fn format(&self, id: &str, arguments: Option<&FluentArgs<'_>>) -> String {
        let Some(pattern) = self.bundle.get_message(id).and_then(|message| message.value()) else {
            return id.to_owned();
        };
        let text: Cow<'_, str> = self.bundle.format_pattern(pattern, arguments, &mut Vec::new());
        text.into_owned()
    }
}

/// A number as the format knows it, which is a float: above 2^53 the last digits would be off.
fn number(value: u64) -> FluentValue<'static> {
    #[expect(clippy::cast_precision_loss, reason = "numbers on a page are far below 2^53")]
    FluentValue::from(value as f64)
}

/// A whole number with a comma between thousands, as English writes it.
fn grouped(number: f64) -> String {
    let digits = format!("{:.0}", number.abs());
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    if number < 0.0 {
        text.push('-');
    }
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    fn files(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { files(&path, found) } else { found.push(path) }
        }
    }

    fn under(folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        files(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
        found
    }

    fn defined() -> BTreeSet<String> {
        let mut ids = BTreeSet::new();
        for file in ENGLISH {
            FluentResource::try_new((*file).to_owned()).map_err(|(_, errors)| errors).unwrap();
            let id = |line: &str| line.split_once(" =").map(|(id, _)| id.to_owned());
            let lines = file.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
            for id in lines.filter_map(id) {
                assert!(ids.insert(id.clone()), "{id} stands twice");
            }
        }
        ids
    }

    #[test]
    fn every_file_is_taken_in() {
        let on_disk = under("../../assets/texts/en").len();
        assert_eq!(on_disk, ENGLISH.len());
    }

    #[test]
    fn every_text_that_a_page_asks_for_is_there_and_every_one_there_is_asked_for() {
        let defined = defined();
        let mut sources = String::new();
        for path in under("src").into_iter().chain(under("../../templates")) {
            let text = fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            // `frame.t("id")` and the like.
            let calls = [".t(\"", ".count(\"", ".counts(\"", ".with(\"", "texts().get(\"", "texts.get(\""];
            let is_page = path.to_string_lossy().contains("/web/") || path.extension().unwrap() == "html";
            for call in calls.iter().filter(|_| is_page) {
                for (at, _) in text.match_indices(call) {
                    let id = text[at + call.len()..].split('"').next().unwrap();
                    let is_id = id.contains('-') || defined.contains(id);
                    assert!(
                        !is_id || id.ends_with('-') || defined.contains(id),
                        "{id} in {}",
                        path.display()
                    );
                }
            }
            sources.push_str(text);
        }
        for id in defined {
            // A family of texts is asked for by what its ids begin with: `"state-"`, `"error-{field}"`.
            let family = id.match_indices('-').any(|(at, _)| {
                let begins = format!("\"{}", &id[..=at]);
                sources.contains(&format!("{begins}\"")) || sources.contains(&format!("{begins}{{"))
            });
            assert!(family || sources.contains(&format!("\"{id}\"")), "nothing asks for {id}");
        }
    }

    #[test]
    fn numbers_are_written_as_people_read_them() {
        for (number, text) in [(0.0, "0"), (999.0, "999"), (1_000.0, "1,000"), (1_234_567.0, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(texts().count("days-left", 1), "1 day left");
        assert_eq!(texts().count("days-left", 1_200), "1,200 days left");
        assert_eq!(texts().get("no-such-text"), "no-such-text");
        let numbers = |tokens, people| [("tokens", tokens), ("people", people)];
        for (tokens, people, text) in [
            (1, 1, "1 token of 1 person"),
            (2_000, 1, "2,000 tokens of 1 person"),
            (3, 2, "3 tokens of 2 people"),
        ] {
            assert_eq!(texts().counts("preview-tokens", &numbers(tokens, people)), text);
        }
    }

    #[test]
    fn numbers_of_rules_come_from_the_rules() {
        for file in ENGLISH {
            for line in file.lines().filter(|line| !line.starts_with('#')) {
                let text = line.split_once(" = ").map_or(line, |(_, text)| text);
                // `[0]` is a case, not a number that is shown.
                assert!(!text.replace("[0]", "").contains(|c: char| c.is_ascii_digit()), "{line}");
            }
        }
        for (name, limit) in LIMITS {
            let files: String = ENGLISH.concat();
            assert!(files.contains(&format!("{{ {name}() }}")), "nothing asks for {name}");
            assert!(*limit > 0);
        }
        assert_eq!(texts().get("error-new-Length"), "From 12 to 1,024 characters.");
        assert_eq!(texts().get("error-accessTokenValiditySeconds-Value"), "From 15 to 43,200 seconds.");
        assert!(texts().get("token-validity-hint").ends_with("15 to 43,200 (12 hours)."));
    }
}
