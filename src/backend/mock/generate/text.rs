//! Strings: what a pattern or a format asks for, or words that suit the property's name.

use std::rc::Rc;

use super::{
    Cause, MAX_TEXT, Random, Unsatisfiable, conjunction::Conjunction, document::Document,
    format::Format, names, pattern::Pattern, words, writing,
};

/// How many texts are drawn for a pattern or a format.
const TRIES: usize = 96;

/// What a text is asked for.
struct Asked {
    least: usize,
    most: usize,
    patterns: Vec<Rc<Pattern>>,
    formats: Vec<Format>,
}

/// A text that the keywords of `conjunction` for strings allow.
pub(super) fn draw<'a>(
    conjunction: &Conjunction<'a>,
    (document, random): (&Document<'a>, &mut Random),
    name: &str,
) -> Result<String, Unsatisfiable> {
    let asked = Asked::of(conjunction, document)?;
    if asked.least > asked.most {
        let why = "a string would have to be longer than it may be".to_owned();
        return Err(conjunction.error(Cause::Contradiction(why)));
    }
    if asked.least > MAX_TEXT {
        let cause = Cause::TooLarge("a string would have more than 16384 characters");
        return Err(conjunction.error(cause));
    }
    if asked.patterns.is_empty() && asked.formats.is_empty() {
        document.spend(1 + asked.least / 64)?;
        return Ok(asked.words(name, random));
    }
    for tried in 0..TRIES {
        document.spend(asked.cost())?;
        let Some(text) = asked.attempt(tried, name, random) else {
            continue;
        };
        if asked.is_met(&text, document)? {
            return Ok(text);
        }
    }
    let why = format!(
        "no string was found that fits: {}",
        asked.named().join(", ")
    );
    Err(conjunction.error(Cause::Contradiction(why)))
}

impl Asked {
    fn of<'a>(
        conjunction: &Conjunction<'a>,
        document: &Document<'a>,
    ) -> Result<Self, Unsatisfiable> {
        let mut asked = Self {
            least: conjunction.most("minLength")?,
            most: conjunction.least("maxLength")?,
            patterns: Vec::new(),
            formats: Vec::new(),
        };
        for part in &conjunction.parts {
            if let Some(source) = part.text("pattern")? {
                let pattern = document.pattern(source, (part, "pattern"))?;
                asked.patterns.push(pattern);
            }
            let format = part.text("format")?.and_then(Format::named);
            asked.formats.extend(format);
        }
        Ok(asked)
    }

    /// What one attempt may cost, in steps.
    fn cost(&self) -> usize {
        let costs = self
            .patterns
            .iter()
            .map(|pattern| pattern.cost_of_writing());
        1 + costs.max().unwrap_or_default()
    }

    /// A text that may be what is asked for.
    fn attempt(&self, tried: usize, name: &str, random: &mut Random) -> Option<String> {
        // What reads well comes first, if it fits by itself.
        if tried == 0 && self.formats.is_empty() {
            return names::named(name, random);
        }
        let format = random.pick(&self.formats).copied();
        if let Some(format) = format.filter(|_| tried.is_multiple_of(2) || self.patterns.is_empty())
        {
            return Some(format.write(random));
        }
        let length = writing::length(self.least, self.most, random);
        let pattern = random.pick(&self.patterns)?.clone();
        pattern.write(length, random)
    }

    fn is_met(&self, text: &str, document: &Document<'_>) -> Result<bool, Unsatisfiable> {
        let length = text.chars().count();
        if !(self.least..=self.most).contains(&length) {
            return Ok(false);
        }
        for format in &self.formats {
            if !format.holds(text, document)? {
                return Ok(false);
            }
        }
        for pattern in &self.patterns {
            if !document.is_match(pattern, text)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Words of the right length.
    fn words(&self, name: &str, random: &mut Random) -> String {
        let named = names::named(name, random);
        let mut text = named.unwrap_or_else(|| words::phrase(random));
        // A length in itself says that more than a word is wanted.
        while text.chars().count() < self.least {
            text.push(' ');
            text.push_str(&words::phrase(random));
        }
        if text.chars().count() <= self.most {
            return text;
        }
        let cut: String = text.chars().take(self.most).collect();
        // A space at the end would look like a mistake.
        match cut.strip_suffix(' ') {
            Some(shorter) if self.most > self.least => shorter.to_owned(),
            Some(shorter) => format!("{shorter}s"),
            None => cut,
        }
    }

    /// What is asked for, in a reader's words.
    fn named(&self) -> Vec<&'static str> {
        let mut names = Vec::new();
        if !self.patterns.is_empty() {
            names.push("the pattern");
        }
        if !self.formats.is_empty() {
            names.push("the format");
        }
        if self.least > 0 || self.most < usize::MAX {
            names.push("the length");
        }
        names
    }
}
