//! Path patterns: parsing, and matching without backtracking.
//!
//! A pattern is matched by carrying the *set* of places that its prefix can have reached, once
//! over the segments of the path and, within a segment, once over its characters. No pattern makes
//! that more than the product of both lengths. The sets are on the stack.

use crate::places::Places;

/// Longest pattern, in bytes.
pub const GLOB_BYTES_MAX: usize = 1024;

/// Room for the places between the segments of a pattern: it has at most one more than bytes.
const SEGMENT_WORDS: usize = 17;
/// Room for those of nearly every pattern.
const USUAL_SEGMENT_WORDS: usize = 1;
/// Room for the places in a name of up to 255 bytes.
const NAME_WORDS: usize = 4;
/// Room for those in a segment of a URL, each of whose characters may be percent-encoded.
const LONG_NAME_WORDS: usize = 385;

/// Why a text is not a path pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// More than [`GLOB_BYTES_MAX`] bytes.
    #[error("the pattern is longer than {GLOB_BYTES_MAX} bytes")]
    TooLong,
    /// An empty pattern or segment: `//`, or `/` at an end.
    #[error("the pattern is empty, absolute, or has an empty segment")]
    EmptySegment,
    /// A segment is `.` or `..`.
    #[error("the pattern has a `.` or `..` segment")]
    DotSegment,
    /// `**` beside other characters.
    #[error("`**` must be a whole segment, as in `docs/**/*.md`")]
    PartialDoubleStar,
    /// `{` within `{}`.
    #[error("`{{}}` within `{{}}` is not supported")]
    NestedBrace,
    /// `{` without `}` in its segment, or the other way round.
    #[error("`{{` and `}}` do not pair up within a segment")]
    UnpairedBrace,
    /// A character with no meaning here that could be taken to have one, or that cannot be read.
    #[error("the pattern holds {0:?}; only `*`, `?`, `**` and `{{a,b}}` are patterns")]
    Character(char),
}

/// A parsed pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob {
    segments: Vec<Segment>,
    dots: Dots,
}

/// What a leading dot of a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dots {
    /// The name is matched only by a pattern that spells the dot.
    Hide,
    /// Nothing.
    Plain,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    /// `**`
    Any,
    /// Everything else.
    One(Vec<Token>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(String),
    /// `?`
    AnyChar,
    /// `*`
    AnyText,
    /// `{a,b}`
    Either(Vec<Vec<Self>>),
}

/// Whether `c` cannot be a literal character of a pattern.
pub(crate) fn is_special(c: char) -> bool {
    matches!(c, '*' | '?' | '{' | '}' | '[' | ']') || c.is_control()
}

impl Glob {
    pub(crate) fn parse(text: &str) -> Result<Self, GlobError> {
        if text.len() > GLOB_BYTES_MAX {
            return Err(GlobError::TooLong);
        }
        if let Some(c) = text.chars().find(|c| matches!(c, '[' | ']') || c.is_control()) {
            return Err(GlobError::Character(c));
        }
        let segments = text.split('/').map(parse_segment).collect::<Result<_, _>>()?;
        Ok(Self { segments, dots: Dots::Hide })
    }

    /// A pattern for the path of a URL, without its first `/`: a leading dot is like any other
    /// character, and segments may be empty.
    pub(crate) fn parse_url(text: &str) -> Result<Self, GlobError> {
        if text.len() > GLOB_BYTES_MAX {
            return Err(GlobError::TooLong);
        }
        let segment = |text| match text {
            "" => Ok(Segment::One(Vec::new())),
            text => parse_segment(text),
        };
        let segments = text.split('/').map(segment).collect::<Result<_, _>>()?;
        Ok(Self { segments, dots: Dots::Plain })
    }

    /// Whether it matches one path and no other.
    pub(crate) fn is_literal(&self) -> bool {
        self.segments.iter().all(|segment| match segment {
            Segment::Any => false,
            Segment::One(tokens) => tokens.iter().all(|token| matches!(token, Token::Literal(_))),
        })
    }

    /// Whether it matches `path`, which [`crate::check_path`] accepts.
    pub(crate) fn matches(&self, path: &str) -> bool {
        let end = self.segments.len();
        match end < 64 * USUAL_SEGMENT_WORDS {
            true => self.reached::<USUAL_SEGMENT_WORDS>(path.split('/')).has(end),
            false => self.reached::<SEGMENT_WORDS>(path.split('/')).has(end),
        }
    }

    /// Whether it could match some path below the folder `path`.
    pub(crate) fn matches_below<'a>(&self, path: impl Iterator<Item = &'a str>) -> bool {
        let end = self.segments.len();
        match end < 64 * USUAL_SEGMENT_WORDS {
            true => self.reached::<USUAL_SEGMENT_WORDS>(path).first().is_some_and(|place| place < end),
            false => self.reached::<SEGMENT_WORDS>(path).first().is_some_and(|place| place < end),
        }
    }

    /// Whether every path that this matches is matched by `other` too. It says yes only where that
    /// is so: where it cannot tell, it says no.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        if self.dots != other.dots {
            return false;
        }
        let dots = self.dots;
        let width = other.segments.len() + 1;
        // At index `j`: whether the segments from `i` on here are within those from `j` on there,
        // for `i` from the end down.
        let mut below: Vec<bool> = Vec::new();
        for i in (0..=self.segments.len()).rev() {
            let rest = self.segments.get(i..).unwrap_or_default();
            let mut row = vec![false; width];
            for j in (0..width).rev() {
                let within = match (rest.first(), other.segments.get(j)) {
                    (None, None) => true,
                    // `**` takes nothing, or the names of one segment more.
                    (first, Some(Segment::Any)) => {
                        let takes = first.is_some_and(|mine| !mine.may_hide(dots)) && is_set(&below, j);
                        is_set(&row, j + 1) || takes
                    }
                    (Some(Segment::One(mine)), Some(Segment::One(theirs))) => {
                        name_is_within(mine, theirs, dots) && is_set(&below, j + 1)
                    }
                    _ => false,
                };
                set(&mut row, j, within);
            }
            below = row;
        }
        is_set(&below, 0)
    }

    /// Whether one path could match both. It says no only where none can: where it cannot tell, it
    /// says yes.
    pub(crate) fn may_meet(&self, other: &Self) -> bool {
        // At index `j`: whether the segments before `i` here and the first `j` there can have
        // matched the same names.
        let mut reached = vec![false; other.segments.len() + 1];
        set(&mut reached, 0, true);
        skip_any(&other.segments, &mut reached);
        for mine in &self.segments {
            let mut next = vec![false; reached.len()];
            if *mine == Segment::Any {
                // It matches nothing, or what stands there, name by name.
                next.clone_from(&reached);
                for (index, theirs) in other.segments.iter().enumerate() {
                    let on = is_set(&next, index) && mine.may_share_name(theirs);
                    set(&mut next, index + 1, on);
                }
            } else {
                for (index, theirs) in other.segments.iter().enumerate().filter(|(i, _)| is_set(&reached, *i))
                {
                    let stays = *theirs == Segment::Any;
                    set(&mut next, index + usize::from(!stays), theirs.may_share_name(mine));
                }
            }
            skip_any(&other.segments, &mut next);
            reached = next;
        }
        reached.last() == Some(&true)
    }

    /// After matching all of `path`: the places `i` for which the first `i` segments of the pattern
    /// can have matched it.
    fn reached<'a, const WORDS: usize>(&self, path: impl Iterator<Item = &'a str>) -> Places<WORDS> {
        let mut reached = Places::start();
        self.skip_any_from(&mut reached);
        for name in path {
            let mut next = Places::EMPTY;
            for index in reached.iter() {
                match self.segments.get(index) {
                    // `**` takes this name and may take more.
                    Some(Segment::Any) if !self.dots.hide(name) => next.set(index),
                    Some(Segment::One(tokens)) if name_matches(tokens, name, self.dots) => {
                        next.set(index + 1);
                    }
                    _ => {}
                }
            }
            self.skip_any_from(&mut next);
            reached = next;
            if reached.first().is_none() {
                break;
            }
        }
        reached
    }

    /// `**` also matches no segment at all.
    fn skip_any_from<const WORDS: usize>(&self, reached: &mut Places<WORDS>) {
        for (index, segment) in self.segments.iter().enumerate() {
            if *segment == Segment::Any && reached.has(index) {
                reached.set(index + 1);
            }
        }
    }
}

impl Segment {
    /// Whether it matches a name over which wildcards do not pass.
    fn may_hide(&self, dots: Dots) -> bool {
        match self {
            Self::Any => false,
            Self::One(tokens) => tokens_may_hide(tokens, dots),
        }
    }

    /// Whether one name could match both, `**` taken as a name that has no dot in front.
    fn may_share_name(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) => true,
            (Self::Any, Self::One(tokens)) | (Self::One(tokens), Self::Any) => !spells_dot(tokens),
            (Self::One(one), Self::One(other)) => match (one.as_slice(), other.as_slice()) {
                ([Token::Literal(name)], _) => name_matches(other, name, Dots::Hide),
                (_, [Token::Literal(name)]) => name_matches(one, name, Dots::Hide),
                _ => may_begin_alike(one, other) && may_end_alike(one, other),
            },
        }
    }
}

/// Whether every name that matches has a dot in front.
fn spells_dot(tokens: &[Token]) -> bool {
    matches!(tokens.first(), Some(Token::Literal(text)) if text.starts_with('.'))
}

fn may_begin_alike(one: &[Token], other: &[Token]) -> bool {
    let is_wild = |token: &Token| matches!(token, Token::AnyChar | Token::AnyText);
    match (one.first(), other.first()) {
        (Some(Token::Literal(a)), Some(Token::Literal(b))) => a.starts_with(b) || b.starts_with(a),
        // No wildcard starts before a leading dot.
        (Some(first), Some(_)) if is_wild(first) => !spells_dot(other),
        (Some(_), Some(first)) if is_wild(first) => !spells_dot(one),
        _ => true,
    }
}

fn may_end_alike(one: &[Token], other: &[Token]) -> bool {
    match (one.last(), other.last()) {
        (Some(Token::Literal(a)), Some(Token::Literal(b))) => a.ends_with(b) || b.ends_with(a),
        _ => true,
    }
}

/// `**` also matches no segment at all.
fn skip_any(segments: &[Segment], reached: &mut [bool]) {
    for (index, segment) in segments.iter().enumerate() {
        let here = is_set(reached, index);
        set(reached, index + 1, here && *segment == Segment::Any);
    }
}

impl Dots {
    /// Whether wildcards pass over `name`.
    fn hide(self, name: &str) -> bool {
        self == Self::Hide && name.starts_with('.')
    }
}

fn is_set(places: &[bool], index: usize) -> bool {
    places.get(index).copied().unwrap_or(false)
}

/// Adds a place if `also`; never takes one away.
fn set(places: &mut [bool], index: usize, also: bool) {
    if let Some(place) = places.get_mut(index) {
        *place |= also;
    }
}

fn tokens_may_hide(tokens: &[Token], dots: Dots) -> bool {
    match tokens.first() {
        Some(Token::Literal(text)) => dots.hide(text),
        Some(Token::AnyChar | Token::AnyText) | None => false,
        // An empty branch lets what follows come first.
        Some(Token::Either(_)) => dots == Dots::Hide,
    }
}

/// Whether every name that `mine` matches is matched by `theirs`, as far as can be told.
fn name_is_within(mine: &[Token], theirs: &[Token], dots: Dots) -> bool {
    match (mine, theirs) {
        _ if mine == theirs => true,
        ([Token::Literal(name)], _) => name_matches(theirs, name, dots),
        (_, [Token::AnyText]) => !tokens_may_hide(mine, dots),
        _ => false,
    }
}

fn name_matches(tokens: &[Token], name: &str, dots: Dots) -> bool {
    match tokens {
        [] => name.is_empty(),
        [Token::Literal(text)] => text == name,
        [Token::AnyText] => !dots.hide(name),
        // Most file systems have no longer name.
        _ if name.len() < 64 * NAME_WORDS => matches_in::<NAME_WORDS>(tokens, name, dots),
        _ => matches_in::<LONG_NAME_WORDS>(tokens, name, dots),
    }
}

fn matches_in<const WORDS: usize>(tokens: &[Token], name: &str, dots: Dots) -> bool {
    advance(tokens, name, dots, Places::<WORDS>::start()).has(name.len())
}

/// Moves every place (a byte offset into `name`) over `tokens`.
fn advance<const WORDS: usize>(
    tokens: &[Token],
    name: &str,
    dots: Dots,
    mut places: Places<WORDS>,
) -> Places<WORDS> {
    for token in tokens {
        // A leading dot is matched by a spelt dot only, so no wildcard starts before it, not even
        // one that takes nothing.
        if dots.hide(name) && matches!(token, Token::AnyChar | Token::AnyText) {
            places.clear_start();
        }
        places = step(token, name, dots, &places);
    }
    places
}

fn step<const WORDS: usize>(token: &Token, name: &str, dots: Dots, places: &Places<WORDS>) -> Places<WORDS> {
    let mut next = Places::EMPTY;
    match token {
        Token::Literal(text) => {
            for start in places.iter() {
                if name.get(start..).is_some_and(|rest| rest.starts_with(text)) {
                    next.set(start + text.len());
                }
            }
        }
        Token::AnyChar => {
            for start in places.iter() {
                if let Some(c) = name.get(start..).and_then(|rest| rest.chars().next()) {
                    next.set(start + c.len_utf8());
                }
            }
        }
        Token::AnyText => {
            // Offsets inside a character are harmless: nothing can be taken from there.
            places.first().into_iter().flat_map(|first| first..=name.len()).for_each(|place| next.set(place));
        }
        Token::Either(branches) => {
            for branch in branches {
                next.join(&advance(branch, name, dots, *places));
            }
        }
    }
    next
}

fn parse_segment(text: &str) -> Result<Segment, GlobError> {
    match text {
        "" => return Err(GlobError::EmptySegment),
        "." | ".." => return Err(GlobError::DotSegment),
        "**" => return Ok(Segment::Any),
        _ => {}
    }
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (inside, behind) = after.split_once('}').ok_or(GlobError::UnpairedBrace)?;
        if inside.contains('{') {
            return Err(GlobError::NestedBrace);
        }
        parse_plain(before, &mut tokens)?;
        let branch = |text| {
            let mut branch = Vec::new();
            parse_plain(text, &mut branch).map(|()| branch)
        };
        tokens.push(Token::Either(inside.split(',').map(branch).collect::<Result<_, _>>()?));
        rest = behind;
    }
    parse_plain(rest, &mut tokens)?;
    Ok(Segment::One(tokens))
}

/// Parses text without braces.
fn parse_plain(text: &str, tokens: &mut Vec<Token>) -> Result<(), GlobError> {
    if text.contains('}') {
        return Err(GlobError::UnpairedBrace);
    }
    if text.contains("**") {
        return Err(GlobError::PartialDoubleStar);
    }
    let mut literal = String::new();
    for c in text.chars() {
        let wild = match c {
            '*' => Token::AnyText,
            '?' => Token::AnyChar,
            c => {
                literal.push(c);
                continue;
            }
        };
        if !literal.is_empty() {
            tokens.push(Token::Literal(std::mem::take(&mut literal)));
        }
        tokens.push(wild);
    }
    if !literal.is_empty() {
        tokens.push(Token::Literal(literal));
    }
    Ok(())
}
