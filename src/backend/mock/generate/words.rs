//! Texts that read as if somebody had meant them.

use super::Random;

const WORDS: [&str; 64] = [
    "amber", "anchor", "autumn", "beacon", "birch", "bridge", "bright", "brook", "calm", "canyon",
    "cedar", "cloud", "copper", "coral", "crystal", "dawn", "delta", "ember", "falcon", "fern",
    "field", "forest", "garden", "gentle", "glacier", "golden", "harbor", "hollow", "island",
    "ivory", "juniper", "lantern", "lemon", "linen", "maple", "marble", "meadow", "mirror",
    "misty", "morning", "north", "ocean", "olive", "orchard", "paper", "pebble", "pine", "quiet",
    "rain", "river", "saffron", "silver", "sparrow", "spring", "stone", "stream", "summer",
    "thistle", "timber", "valley", "velvet", "walnut", "willow", "winter",
];

/// Given names.
pub(super) const FIRST_NAMES: [&str; 12] = [
    "Ada", "Alan", "Barbara", "Dennis", "Edsger", "Frances", "Grace", "Hedy", "Ken", "Lynn",
    "Margaret", "Radia",
];

/// Family names.
pub(super) const LAST_NAMES: [&str; 12] = [
    "Abbott", "Berg", "Castro", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito",
    "Jensen", "Kowalski", "Moreau",
];

/// Cities.
pub(super) const CITIES: [&str; 12] = [
    "Athens", "Berlin", "Bogotá", "Cairo", "Dublin", "Kyoto", "Lagos", "Lisbon", "Montreal",
    "Oslo", "Paris", "Sydney",
];

/// Countries.
pub(super) const COUNTRIES: [&str; 10] = [
    "Brazil", "Canada", "Egypt", "France", "Germany", "Japan", "Kenya", "Norway", "Peru",
    "Portugal",
];

const SENTENCES: [&str; 10] = [
    "It arrived a little earlier than anyone had planned.",
    "The first part is done, and the second has begun.",
    "Everything needed for this is already in place.",
    "Two small changes made most of the difference.",
    "There is one open question, and it can wait.",
    "What was asked for is here, and nothing else.",
    "It works best when it is kept simple.",
    "The numbers agree with those of last week.",
    "Nobody has to do anything about it today.",
    "A short walk along the river clears the mind.",
];

/// A word.
pub(super) fn word(random: &mut Random) -> &'static str {
    one_of(&WORDS, random)
}

/// One to three words.
pub(super) fn phrase(random: &mut Random) -> String {
    let mut phrase = word(random).to_owned();
    for _ in 0..random.below(3) {
        phrase.push(' ');
        phrase.push_str(word(random));
    }
    phrase
}

/// A sentence.
pub(super) fn sentence(random: &mut Random) -> String {
    one_of(&SENTENCES, random).to_owned()
}

/// An address at a domain that is nobody's (RFC 2606).
pub(super) fn email(random: &mut Random) -> String {
    let name = one_of(&FIRST_NAMES, random).to_lowercase();
    match random.coin() {
        true => format!("{name}@example.com"),
        false => format!("{name}.{}@example.com", word(random)),
    }
}

/// An address at a host that is nobody's.
pub(super) fn url(random: &mut Random) -> String {
    format!("https://example.com/{}/{}", word(random), word(random))
}

/// A person's name.
pub(super) fn person(random: &mut Random) -> String {
    let first = one_of(&FIRST_NAMES, random);
    format!("{first} {}", one_of(&LAST_NAMES, random))
}

/// A text with a capital letter at its beginning.
pub(super) fn capital(text: &str) -> String {
    let mut rest = text.chars();
    let first = rest.next().into_iter().flat_map(char::to_uppercase);
    first.chain(rest.clone()).collect()
}

fn one_of(list: &'static [&'static str], random: &mut Random) -> &'static str {
    random.pick(list).copied().unwrap_or_default()
}
