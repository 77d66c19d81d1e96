//! Just enough reading of Rust: tokens without comments and without the insides of literals.

/// A name, a number, `::`, or one character.
#[derive(Debug)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The tokens of a source without its comments, and without the insides of its literals.
pub fn tokens(source: &str) -> Vec<Token> {
    let chars: Vec<char> = source.chars().collect();
    let (mut tokens, mut at, mut line) = (Vec::new(), 0, 1);
    while at < chars.len() {
        let end = match literal_end(&chars, at) {
            Some(end) => end,
            None if chars[at].is_whitespace() => at + 1,
            None => {
                let mut end = at + 1;
                if is_word(chars[at]) {
                    end += chars[end..].iter().take_while(|c| is_word(**c)).count();
                } else if chars[at..].starts_with(&[':', ':']) {
                    end += 1;
                }
                tokens.push(Token {
                    text: chars[at..end].iter().collect(),
                    line,
                });
                end
            }
        };
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

/// Where the comment or the literal that begins at `at` ends; `None` if none begins there.
fn literal_end(chars: &[char], at: usize) -> Option<usize> {
    let rest = &chars[at..];
    let find = |from: usize, what: &[char]| {
        let rows = rest[from..].windows(what.len());
        rows.into_iter()
            .position(|row| row == what)
            .map_or(rest.len(), |n| from + n + what.len())
    };
    let len = match rest {
        ['/', '/', ..] => find(0, &['\n']),
        ['/', '*', ..] => comment_len(rest),
        ['"', ..] => string_len(rest),
        ['b' | 'c', '"', ..] => 1 + string_len(&rest[1..]),
        ['r', ..] | ['b' | 'c', 'r', ..] => {
            let prefix = rest
                .iter()
                .take_while(|c| matches!(c, 'r' | 'b' | 'c'))
                .count();
            let hashes = rest[prefix..].iter().take_while(|c| **c == '#').count();
            if rest.get(prefix + hashes) != Some(&'"') {
                return None;
            }
            let mut close = vec!['#'; hashes + 1];
            close[0] = '"';
            find(prefix + hashes + 1, &close)
        }
        ['\'', '\\', ..] => find(3, &['\'']),
        ['\'', _, '\'', ..] => 3,
        _ => return None,
    };
    Some(at + len)
}

fn string_len(rest: &[char]) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != '"' {
        at += 1 + usize::from(rest[at] == '\\');
    }
    (at + 1).min(rest.len())
}

fn comment_len(rest: &[char]) -> usize {
    let (mut at, mut depth) = (0, 0);
    while at < rest.len() {
        let (step, change) = match &rest[at..] {
            ['/', '*', ..] => (2, 1),
            ['*', '/', ..] => (2, -1),
            _ => (1, 0),
        };
        (at, depth) = (at + step, depth + change);
        if depth == 0 {
            break;
        }
    }
    at
}
