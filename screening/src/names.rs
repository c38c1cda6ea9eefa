//! When two names are the same, and how alike they are otherwise.

use caseless::Caseless as _;
use unicode_normalization::{UnicodeNormalization as _, char::is_combining_mark};

/// Two words that are less alike than this (Jaro-Winkler, 0 to 1) are different words.
const SAME_WORD: f64 = 0.9;

/// A name as it is compared: its words in their order, without case, marks and punctuation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) words: Vec<String>,
}

impl Name {
    /// `None` where no letter or digit is left.
    ///
    /// Unicode compatibility decomposition, case folding and the removal of marks: `Núñez` is `NUNEZ`, `ﬁ` is `fi`.
    /// Full stops, apostrophes and what no reader sees join what they stand between (`S.A.` is `SA`, `O'Neil` is
    /// `ONEIL`); everything else that is no letter or digit parts words.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let folded = text.nfkd().default_case_fold().nfkd().filter(|c| !is_combining_mark(*c) && !joins(*c));
        let parted: String = folded.map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
        let words: Vec<String> = parted.split_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then_some(Self { words })
    }

    /// Equal for names that differ in the order of words alone.
    pub(crate) fn key(&self) -> String {
        let mut words = self.words.clone();
        words.sort_unstable();
        words.join(" ")
    }

    /// All of it as one word: `AL ZAWAHIRI` is `ALZAWAHIRI`.
    pub(crate) fn glued(&self) -> String {
        self.words.concat()
    }
}

fn joins(c: char) -> bool {
    matches!(c, '.' | '\'' | '’' | '‘' | 'ʼ' | '`' | '´')
        // Soft hyphen, zero-width spaces and joiners, marks of direction, byte order mark: invisible.
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// How alike two words are, 0 to 1: Jaro-Winkler, and 0 for those that are different words.
pub(crate) fn alike(a: &str, b: &str) -> f64 {
    let likeness = strsim::jaro_winkler(a, b);
    if likeness < SAME_WORD { 0.0 } else { likeness }
}

/// How alike two names are by their words, 0 to 1, whatever the order: each word of the shorter name is paired with the
/// one of the longer that is most like it. Counts four parts how much of the shorter is found in the longer and one
/// part the other way round, so that a middle name more does not hide anybody. Words count by their length. A name of
/// one word is not looked for inside a longer one.
pub(crate) fn by_words(a: &[usize], b: &[usize], alike: impl Fn(usize, usize) -> f64) -> f64 {
    let swapped = a.len() > b.len();
    let (shorter, longer) = if swapped { (b, a) } else { (a, b) };
    if shorter.len() < 2 && longer.len() > 1 {
        return 0.0;
    }
    let mut free = vec![true; longer.len()];
    let (mut in_shorter, mut in_longer) = (0.0, 0.0);
    let mut order: Vec<usize> = (0..shorter.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(shorter[*at]));
    for at in order {
        let likeness = |other: usize| if swapped { alike(other, at) } else { alike(at, other) };
        let best = (0..longer.len()).filter(|other| free[*other]).map(|other| (likeness(other), other));
        if let Some((likeness, other)) = best.max_by(|one, two| one.0.total_cmp(&two.0))
            && likeness > 0.0
        {
            free[other] = false;
            in_shorter += likeness * shorter[at] as f64;
            in_longer += likeness * longer[other] as f64;
        }
    }
    let whole = |lengths: &[usize]| lengths.iter().sum::<usize>() as f64;
    0.8 * in_shorter / whole(shorter) + 0.2 * in_longer / whole(longer)
}

/// How alike two names are as one word each, 0 to 1: finds words that are written together here and apart there. By
/// the number of letters that would have to be added, removed, replaced or swapped.
pub(crate) fn as_one_word(a: &str, b: &str) -> f64 {
    let longest = a.chars().count().max(b.chars().count());
    1.0 - strsim::osa_distance(a, b) as f64 / longest as f64
}

/// How often each letter is in a word, letters that share a place counted together.
#[derive(Clone)]
pub(crate) struct Letters([u16; 32]);

impl Letters {
    pub(crate) fn of(word: &str) -> Self {
        let mut letters = [0_u16; 32];
        for letter in word.chars() {
            let count = &mut letters[letter as usize % 32];
            *count = count.saturating_add(1);
        }
        Self(letters)
    }

    /// The most that [`as_one_word`] can say of two words: each letter that only one has must be added or removed, or
    /// replaced by one that only the other has. Much quicker, and most names are not alike.
    pub(crate) fn at_most(&self, other: &Self) -> f64 {
        let total = |letters: &Self| letters.0.iter().map(|count| u32::from(*count)).sum::<u32>();
        let only = |one: &Self, other: &Self| {
            one.0.iter().zip(other.0).map(|(one, other)| u32::from(one.saturating_sub(other))).sum::<u32>()
        };
        let distance = only(self, other).max(only(other, self));
        1.0 - f64::from(distance) / f64::from(total(self).max(total(other)))
    }
}

/// 0 to 99 for a likeness of 0 to 1: 100 is for names that are equal.
pub(crate) fn score(likeness: f64) -> u8 {
    ((likeness * 100.0 + 1e-6) as u8).min(99)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).expect(text)
    }

    fn scored(a: &str, b: &str) -> u8 {
        let (a, b) = (name(a), name(b));
        let lengths = |name: &Name| name.words.iter().map(|word| word.chars().count()).collect::<Vec<_>>();
        let words = by_words(&lengths(&a), &lengths(&b), |at, other| alike(&a.words[at], &b.words[other]));
        score(words.max(as_one_word(&a.glued(), &b.glued())))
    }

    #[test]
    fn case_marks_punctuation_and_the_order_of_words_do_not_matter() {
        for (one, other) in [
            ("MADURO MOROS, Nicolás", "nicolas maduro moros"),
            ("Núñez", "NUNEZ"),
            ("Straße", "STRASSE"),
            ("ΜΑΪΟΣ", "μάιος"),
            ("O'Neil", "o’neil"),
            ("BNC, S.A.", "bnc sa"),
            ("AL-ZAWAHIRI", "al zawahiri"),
            ("Ｊａｎｅ", "jane"),
            ("ﬁrst", "FIRST"),
            ("Vla\u{200b}di\u{ad}mir", "vladimir"),
            ("  two \t spaces ", "two spaces"),
        ] {
            assert_eq!(name(one).key(), name(other).key(), "{one} {other}");
        }
        assert_ne!(name("Jane Doe").key(), name("Jane Do").key());
    }

    #[test]
    fn other_scripts_are_names_too() {
        assert_eq!(name("Владимир Путин").key(), name("ПУТИН, владимир").key());
        assert_eq!(name("محمد").words.len(), 1);
        assert_eq!(name("李 明").words, ["李", "明"]);
    }

    #[test]
    fn text_without_a_letter_or_digit_is_no_name() {
        for text in ["", "  ", "-- !", "\u{200b}", "'"] {
            assert_eq!(Name::new(text), None, "{text:?}");
        }
    }

    #[test]
    fn misspelt_and_shortened_names_are_alike() {
        for (one, other) in [
            ("Nicolas Maduro", "MADURO MOROS, Nicolas"),
            ("Ayman Zawahri", "AL-ZAWAHIRI, Ayman"),
            ("Ayman Alzawahiri", "Ayman AL ZAWAHIRI"),
            ("Vladimir Putn", "PUTIN, Vladimir"),
            ("Aero Caribbean Airlines", "AEROCARIBBEAN AIRLINES"),
            ("Banco Nacional Cuba", "BANCO NACIONAL DE CUBA"),
            ("Mohamed Atta", "ATTA, Mohammed"),
        ] {
            assert!(scored(one, other) >= 90, "{one} / {other}: {}", scored(one, other));
            assert_eq!(scored(one, other), scored(other, one), "{one} / {other}");
        }
    }

    #[test]
    fn different_people_are_not_alike() {
        for (one, other) in [
            ("Jane Example", "PUTIN, Vladimir"),
            ("Ahmed Mohammed Ali", "Ahmed Mohammed HASSAN"),
            ("John Smith", "SMITH TRADING COMPANY INTERNATIONAL"),
            ("Nico Rossi", "NICO"),
            ("Maria Garcia", "GARCIA LOPEZ, Mario Alberto"),
            ("Bank of Ireland", "BANK OF IRAN"),
            ("Li Wei", "LI WENHAO"),
        ] {
            assert!(scored(one, other) < 90, "{one} / {other}: {}", scored(one, other));
        }
    }

    #[test]
    fn letters_never_say_less_than_the_words_do() {
        for (one, other) in [
            ("alzawahiri", "zawahirial"),
            ("kitten", "sitting"),
            ("ab", "ba"),
            ("a", "abcdefgh"),
            ("putin", "putn"),
            ("владимир", "vladimir"),
        ] {
            let most = Letters::of(one).at_most(&Letters::of(other));
            assert!(most >= as_one_word(one, other), "{one} {other}: {most}");
        }
        assert_eq!(score(Letters::of("kitten").at_most(&Letters::of("jane"))), 33);
    }

    #[test]
    fn only_equal_names_score_a_hundred() {
        assert_eq!(scored("Ayman Alzawahiri", "Ayman AL ZAWAHIRI"), 99);
        assert_eq!((score(0.0), score(0.57), score(0.9), score(0.899), score(1.0)), (0, 57, 90, 89, 99));
    }
}
