//! The grammar of `derive`: parses an expression into an [`Expression`], whose names are field names at first and
//! fields later.
//!
//! ```text
//! sum      = product *(("+" | "-") product)
//! product  = unary *(("*" | "/") unary)                × ÷ − stand for * / -
//! unary    = "-" unary | number | name | "quoted name" | "(" sum ")"
//! name     = letters, digits, _ . @ $, not beginning with a digit
//! ```

use crate::data::Decimal;
use crate::error::Result;

/// How deeply operands may be nested, and how many operators an expression may have. An expression with more is
/// refused, because expressions are walked by recursion, and `a + a + …` is as deep as it is long.
const DEEPEST: usize = 100;
const MOST_OPERATORS: usize = 1000;

#[derive(Clone, Debug, PartialEq)]
pub enum Expression<N> {
    Number(Decimal),
    Name(N),
    Minus(Box<Expression<N>>),
    /// The greatest multiple of the number that isn't above the expression's value.
    Floor(Box<Expression<N>>, Decimal),
    Two(Operator, Box<Expression<N>>, Box<Expression<N>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Plus,
    Minus,
    Times,
    Over,
}

impl<N> Expression<N> {
    /// Returns the expression with each name replaced by what `to` makes of it.
    pub fn map_names<M>(self, to: &mut impl FnMut(N) -> Result<M>) -> Result<Expression<M>> {
        Ok(match self {
            Expression::Number(number) => Expression::Number(number),
            Expression::Name(name) => Expression::Name(to(name)?),
            Expression::Minus(of) => Expression::Minus(Box::new(of.map_names(to)?)),
            Expression::Floor(of, step) => Expression::Floor(Box::new(of.map_names(to)?), step),
            Expression::Two(operator, a, b) => {
                Expression::Two(operator, Box::new(a.map_names(to)?), Box::new(b.map_names(to)?))
            }
        })
    }

    /// Calls `each` with every name.
    pub fn names(&self, each: &mut impl FnMut(&N)) {
        match self {
            Expression::Number(_) => {}
            Expression::Name(name) => each(name),
            Expression::Minus(of) | Expression::Floor(of, _) => of.names(each),
            Expression::Two(_, a, b) => {
                a.names(each);
                b.names(each);
            }
        }
    }
}

/// Parses an expression. The error says what is wrong, and where.
pub fn parse(text: &str) -> Result<Expression<String>, String> {
    let mut parser = Parser { rest: text.trim_start(), depth: 0, operators: 0 };
    let expression = parser.sum()?;
    match parser.rest {
        "" => Ok(expression),
        rest => Err(format!("expected + - * or / at {rest:?}")),
    }
}

struct Parser<'a> {
    /// The text that is left, without white space at its start.
    rest: &'a str,
    depth: usize,
    /// Operators between two operands so far.
    operators: usize,
}

impl<'a> Parser<'a> {
    fn advance(&mut self, bytes: usize) {
        self.rest = self.rest[bytes..].trim_start();
    }

    /// Takes the next sign if it is one of `signs`.
    fn sign(&mut self, signs: &[(char, Operator)]) -> Option<Operator> {
        let next = self.rest.chars().next()?;
        let (_, operator) = signs.iter().find(|(sign, _)| *sign == next)?;
        self.advance(next.len_utf8());
        Some(*operator)
    }

    fn sum(&mut self) -> Result<Expression<String>, String> {
        const SIGNS: &[(char, Operator)] = &[('+', Operator::Plus), ('-', Operator::Minus), ('−', Operator::Minus)];
        let mut sum = self.product()?;
        while let Some(operator) = self.sign(SIGNS) {
            sum = self.two(operator, sum, Self::product)?;
        }
        Ok(sum)
    }

    fn product(&mut self) -> Result<Expression<String>, String> {
        const SIGNS: &[(char, Operator)] =
            &[('*', Operator::Times), ('×', Operator::Times), ('/', Operator::Over), ('÷', Operator::Over)];
        let mut product = self.unary()?;
        while let Some(operator) = self.sign(SIGNS) {
            product = self.two(operator, product, Self::unary)?;
        }
        Ok(product)
    }

    /// Takes the operand that follows `operator`, and joins it to `a`.
    fn two(
        &mut self,
        operator: Operator,
        a: Expression<String>,
        operand: fn(&mut Self) -> Result<Expression<String>, String>,
    ) -> Result<Expression<String>, String> {
        self.operators += 1;
        if self.operators > MOST_OPERATORS {
            return Err(format!("has more than {MOST_OPERATORS} operators"));
        }
        Ok(Expression::Two(operator, Box::new(a), Box::new(operand(self)?)))
    }

    fn unary(&mut self) -> Result<Expression<String>, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(format!("is nested more than {DEEPEST} deep"));
        }
        let expression = self.operand();
        self.depth -= 1;
        expression
    }

    fn operand(&mut self) -> Result<Expression<String>, String> {
        let Some(next) = self.rest.chars().next() else {
            return Err("ends where a name, a number or a parenthesis should follow".into());
        };
        match next {
            '-' | '−' => {
                self.advance(next.len_utf8());
                Ok(Expression::Minus(Box::new(self.unary()?)))
            }
            '(' => {
                self.advance(1);
                let sum = self.sum()?;
                if !self.rest.starts_with(')') {
                    return Err("has a parenthesis that is not closed".into());
                }
                self.advance(1);
                Ok(sum)
            }
            '"' => self.quoted(),
            '0'..='9' | '.' => self.number(),
            c if is_in_name(c) => {
                let name = self.take(is_in_name);
                Ok(Expression::Name(name.to_owned()))
            }
            _ => Err(format!("expected a name, a number or a parenthesis at {:?}", self.rest)),
        }
    }

    fn take(&mut self, is_part: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest;
        let taken = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        self.advance(taken.len());
        taken
    }

    fn number(&mut self) -> Result<Expression<String>, String> {
        let rest = self.rest;
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        // An exponent may have a sign.
        let exponent = rest[digits..].strip_prefix(['e', 'E']).map_or(0, |rest| {
            let unsigned = rest.strip_prefix(['+', '-']).unwrap_or(rest);
            let sign = rest.len() - unsigned.len();
            1 + sign + unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len())
        });
        let (number, behind) = rest.split_at(digits + exponent);
        let wrong = |_| format!("{number:?} is not a number of up to 38 digits");
        let parsed = Decimal::parse(number.as_bytes()).map_err(wrong)?;
        if behind.starts_with(is_in_name) {
            return Err(format!("expected + - * or / at {behind:?}"));
        }
        self.advance(number.len());
        Ok(Expression::Number(parsed))
    }

    /// Takes a name in quotes. A quote inside the name is written twice.
    fn quoted(&mut self) -> Result<Expression<String>, String> {
        let (mut name, mut at) = (String::new(), 1);
        loop {
            let Some(len) = self.rest[at..].find('"') else { return Err("has a quote that is not closed".into()) };
            name.push_str(&self.rest[at..at + len]);
            at += len + 1;
            if !self.rest[at..].starts_with('"') {
                self.advance(at);
                return Ok(Expression::Name(name));
            }
            name.push('"');
            at += 1;
        }
    }
}

fn is_in_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '$')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows an expression with a parenthesis around every operation.
    fn shown(expression: &Expression<String>) -> String {
        match expression {
            Expression::Number(number) => number.to_string(),
            Expression::Name(name) => name.clone(),
            Expression::Minus(of) => format!("(-{})", shown(of)),
            Expression::Floor(of, step) => format!("floor({},{step})", shown(of)),
            Expression::Two(operator, a, b) => {
                let sign = match operator {
                    Operator::Plus => '+',
                    Operator::Minus => '-',
                    Operator::Times => '*',
                    Operator::Over => '/',
                };
                format!("({}{sign}{})", shown(a), shown(b))
            }
        }
    }

    #[test]
    fn products_bind_more_than_sums_and_both_to_the_left() {
        for (text, expected) in [
            ("price * qty", "(price*qty)"),
            ("a - b - c", "((a-b)-c)"),
            ("a - b * c / d", "(a-((b*c)/d))"),
            (" ( a + b ) * -c ", "((a+b)*(-c))"),
            ("--a", "(-(-a))"),
            ("1.50 × $2 ÷ a.b − 2", "(((1.5*$2)/a.b)-2)"),
            ("\"unit \"\"price\"\"\"+1e-3", "(unit \"price\"+0.001)"),
            (".5e+2*x", "(50*x)"),
        ] {
            assert_eq!(parse(text).as_ref().map(shown), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (text, expected) in [
            ("", "ends where a name, a number or a parenthesis should follow"),
            ("a +", "ends where a name, a number or a parenthesis should follow"),
            ("a b", "expected + - * or / at \"b\""),
            ("(a", "has a parenthesis that is not closed"),
            ("a)", "expected + - * or / at \")\""),
            ("\"a", "has a quote that is not closed"),
            ("2x", "expected + - * or / at \"x\""),
            ("a ^ 2", "expected + - * or / at \"^ 2\""),
            ("* a", "expected a name, a number or a parenthesis at \"* a\""),
            ("1.2.3", "\"1.2.3\" is not a number of up to 38 digits"),
        ] {
            assert_eq!(parse(text), Err(expected.to_owned()), "{text}");
        }
        let deep = |depth: usize| parse(&format!("{}a{}", "(".repeat(depth), ")".repeat(depth)));
        assert!(deep(50).is_ok());
        assert_eq!(deep(100_000), Err("is nested more than 100 deep".into()));
        for operator in ["+", "*"] {
            let long = |operators: usize| parse(&format!("a{}", format!("{operator}a").repeat(operators)));
            assert!(long(1000).is_ok());
            assert_eq!(long(100_000), Err("has more than 1000 operators".into()));
        }
    }
}
