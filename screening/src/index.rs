//! The entries of a list in memory, found by hash, and names that are only alike.

use std::collections::{HashMap, HashSet};

use crate::{
    Hit, Kind, Subject, Threshold,
    names::{self, Letters, Name},
};

/// The entries of a list.
#[derive(Default)]
pub(crate) struct Index {
    listed: Vec<Listed>,
    /// Positions in `listed`, by kind and by what equal texts have in common.
    equal: HashMap<(Kind, String), Vec<usize>>,
    /// Names that may also be found by likeness.
    alike: Vec<Alike>,
    /// Every word of those names once, since comparing words is what takes time.
    words: Vec<String>,
    word_numbers: HashMap<String, usize>,
}

/// A text of an entry.
struct Listed {
    entry: String,
    kind: Kind,
    text: String,
}

struct Alike {
    listed: usize,
    words: Vec<usize>,
    lengths: Vec<usize>,
    glued: String,
    letters: Letters,
}

/// How a name may be found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// Also when it is only alike.
    ByLikeness,
    /// Only when it is equal.
    ByEquality,
}

/// A name without a letter or a digit: nothing could ever be found by it.
pub(crate) struct Unfindable;

impl Index {
    /// Adds a text of an entry.
    pub(crate) fn add(&mut self, entry: &str, kind: Kind, text: &str, found: Found) -> Result<(), Unfindable> {
        let at = self.listed.len();
        let key = match kind {
            Kind::Address => address(text),
            Kind::Account => text.to_owned(),
            Kind::Name => {
                let name = Name::new(text).ok_or(Unfindable)?;
                if found == Found::ByLikeness {
                    self.add_alike(at, &name);
                }
                name.key()
            }
        };
        self.listed.push(Listed { entry: entry.to_owned(), kind, text: text.to_owned() });
        self.equal.entry((kind, key)).or_default().push(at);
        Ok(())
    }

    fn add_alike(&mut self, listed: usize, name: &Name) {
        let mut number = |word: &String| {
            *self.word_numbers.entry(word.clone()).or_insert_with(|| {
                self.words.push(word.clone());
                self.words.len() - 1
            })
        };
        let words = name.words.iter().map(&mut number).collect();
        let lengths = lengths(name);
        let glued = name.glued();
        let letters = Letters::of(&glued);
        self.alike.push(Alike { listed, words, lengths, glued, letters });
    }

    /// Everything of the subject that is listed, as hits of the list of this name.
    pub(crate) fn find(&self, list: &str, subject: &Subject, threshold: Threshold) -> Vec<Hit> {
        let mut hits = vec![];
        let mut hit = |at: usize, score| {
            let Listed { entry, kind, text } = &self.listed[at];
            hits.push(Hit { list: list.to_owned(), entry: entry.clone(), matched: *kind, listed: text.clone(), score });
        };
        let equal = |kind, key| self.equal.get(&(kind, key)).into_iter().flatten().copied();
        for text in &subject.addresses {
            equal(Kind::Address, address(text)).for_each(|at| hit(at, 100));
        }
        for text in &subject.account_ids {
            equal(Kind::Account, text.trim().to_owned()).for_each(|at| hit(at, 100));
        }
        for name in subject.names.iter().filter_map(|text| Name::new(text)) {
            let found: HashSet<usize> = equal(Kind::Name, name.key()).collect();
            found.iter().for_each(|at| hit(*at, 100));
            for (at, score) in self.like(&name, threshold) {
                if !found.contains(&at) {
                    hit(at, score);
                }
            }
        }
        hits
    }

    fn like(&self, name: &Name, threshold: Threshold) -> Vec<(usize, u8)> {
        if threshold.get() == 100 {
            return vec![];
        }
        let likeness: Vec<Vec<f64>> =
            name.words.iter().map(|word| self.words.iter().map(|other| names::alike(word, other)).collect()).collect();
        let (lengths, glued) = (lengths(name), name.glued());
        let letters = Letters::of(&glued);
        let score = |other: &Alike| {
            let by_words = names::by_words(&lengths, &other.lengths, |at, to| likeness[at][other.words[to]]);
            let at_most = names::score(letters.at_most(&other.letters));
            let as_one = if at_most < threshold.get() { 0.0 } else { names::as_one_word(&glued, &other.glued) };
            names::score(by_words.max(as_one))
        };
        let scored = self.alike.iter().map(|other| (other.listed, score(other)));
        scored.filter(|(_, score)| *score >= threshold.get()).collect()
    }
}

fn lengths(name: &Name) -> Vec<usize> {
    name.words.iter().map(|word| word.chars().count()).collect()
}

/// What equal addresses have in common. Hexadecimal ones (`0x…`, EVM) are equal in any case, all others as they stand.
pub(crate) fn address(text: &str) -> String {
    let text = text.trim();
    if hexadecimal(text) { text.to_ascii_lowercase() } else { text.to_owned() }
}

/// `0x` and hexadecimal digits.
pub(crate) fn hexadecimal(text: &str) -> bool {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> Index {
        let mut index = Index::default();
        for (entry, kind, text, found) in [
            ("1", Kind::Address, "0x098B716B8Aaf21512996dC57EB0615e2383E2f96", Found::ByEquality),
            ("2", Kind::Address, "12QtD5BFwRsdNsAZY76UVE1xyCGNTojH9h", Found::ByEquality),
            ("3", Kind::Account, "acct-7", Found::ByEquality),
            ("4", Kind::Name, "MADURO MOROS, Nicolás", Found::ByLikeness),
            ("5", Kind::Name, "NICOLAU MADURA", Found::ByEquality),
        ] {
            assert!(index.add(entry, kind, text, found).is_ok());
        }
        index
    }

    fn found(addresses: &[&str], account_ids: &[&str], names: &[&str], threshold: u8) -> Vec<(String, u8)> {
        let texts = |of: &[&str]| of.iter().map(|text| (*text).to_owned()).collect();
        let subject = Subject { addresses: texts(addresses), account_ids: texts(account_ids), names: texts(names) };
        let hits = index().find("l", &subject, Threshold::new(threshold).expect("a threshold"));
        hits.into_iter().map(|hit| (hit.entry, hit.score)).collect()
    }

    #[test]
    fn an_evm_address_is_found_in_any_case_and_another_as_it_stands() {
        assert_eq!(found(&["0x098b716b8aaf21512996dc57eb0615e2383e2f96"], &[], &[], 90), [("1".to_owned(), 100)]);
        assert_eq!(found(&[" 0X098B716B8AAF21512996DC57EB0615E2383E2F96 "], &[], &[], 90).len(), 1);
        assert_eq!(found(&["12QtD5BFwRsdNsAZY76UVE1xyCGNTojH9h"], &[], &[], 90), [("2".to_owned(), 100)]);
        assert!(found(&["12QTD5BFwRsdNsAZY76UVE1xyCGNTojH9h"], &[], &[], 90).is_empty());
    }

    #[test]
    fn each_kind_is_found_among_its_own() {
        assert_eq!(found(&[], &["acct-7"], &[], 90), [("3".to_owned(), 100)]);
        assert!(found(&["acct-7"], &["ACCT-7", "12QtD5BFwRsdNsAZY76UVE1xyCGNTojH9h"], &["acct-7"], 90).is_empty());
    }

    #[test]
    fn a_name_is_found_when_it_is_equal_or_alike_enough() {
        assert_eq!(found(&[], &[], &["nicolas maduro moros"], 90), [("4".to_owned(), 100)]);
        assert_eq!(found(&[], &[], &["Nicolas Maduro"], 90), [("4".to_owned(), 94)]);
        assert!(found(&[], &[], &["Nicolas Maduro"], 95).is_empty());
        assert_eq!(found(&[], &[], &["nicolas maduro moros"], 100), [("4".to_owned(), 100)]);
    }

    #[test]
    fn a_name_of_low_quality_is_found_only_when_it_is_equal() {
        assert_eq!(found(&[], &[], &["Madura Nicolau"], 90), [("5".to_owned(), 100)]);
        assert!(found(&[], &[], &["Madurra Nicolau"], 90).is_empty());
    }
}
