//! The formula of a utility: what an event, or all events of a visitor with an item, are worth.
//!
//! `2*comment + share - 3*hide + 0.5*rating`: numbers, names, `+ - * /`, parentheses, and `min` and `max` of two or
//! more. A name is a type of event, which stands for how many there are of it, or a column with a number.

use std::collections::BTreeSet;
use std::fmt;

use foretaste::features::Value;

use super::Dataset;

/// Most characters: a long sum is as deep as it is long.
const MOST_LENGTH: usize = 4096;
/// Deepest nesting of parentheses and calls.
const MOST_DEPTH: usize = 64;

/// The name that stands for the last rating.
const RATING: &str = "rating";

/// A parsed formula.
#[derive(Debug, Clone, PartialEq)]
pub struct Formula {
    text: String,
    value: Expression,
}

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    Number(f64),
    Name(String),
    Negated(Box<Expression>),
    Of(Operator, Box<Expression>, Box<Expression>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Plus,
    Minus,
    Times,
    Divided,
    Min,
    Max,
}

/// What is wrong with a formula, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Characters before the place.
    pub place: usize,
    /// What was expected.
    pub kind: FaultKind,
}

/// Kinds of fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Here a number, a name or a parenthesis has to stand.
    NoValue,
    /// Here an operator or the end has to stand.
    NoOperator,
    /// A parenthesis is not closed.
    NotClosed,
    /// No number.
    BadNumber(String),
    /// No function: there are `min` and `max`.
    NoFunction(String),
    /// `min` and `max` are of two or more.
    FewArguments,
    /// Too many parentheses in one another.
    TooDeep,
    /// Too many characters.
    TooLong,
    /// A name that stands for nothing.
    UnknownName(String),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "character {}: {}", self.place + 1, self.kind)
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            FaultKind::NoValue => write!(f, "a number, a name or `(` expected"),
            FaultKind::NoOperator => write!(f, "an operator or the end expected"),
            FaultKind::NotClosed => write!(f, "`)` expected"),
            FaultKind::BadNumber(text) => write!(f, "`{text}` is no number"),
            FaultKind::NoFunction(name) => write!(f, "no function `{name}`: there are `min` and `max`"),
            FaultKind::FewArguments => write!(f, "two values expected, with a comma between them"),
            FaultKind::UnknownName(name) => {
                write!(f, "`{name}` is no type of event, no `rating`, no column of events with numbers")
            }
            FaultKind::TooLong => write!(f, "at most {MOST_LENGTH} characters expected"),
            FaultKind::TooDeep => write!(f, "more than {MOST_DEPTH} parentheses in one another"),
        }
    }
}

impl std::error::Error for Fault {}

impl Formula {
    /// Reads a formula.
    ///
    /// # Errors
    /// The first [`Fault`] from the left.
    pub fn parse(text: &str) -> Result<Formula, Fault> {
        let mut parser = Parser { text: text.chars().collect(), at: 0, depth: 0 };
        if parser.text.len() > MOST_LENGTH {
            return Err(Fault { place: MOST_LENGTH, kind: FaultKind::TooLong });
        }
        let sum = parser.sum()?;
        if parser.next().is_some() {
            return Err(parser.fault(FaultKind::NoOperator));
        }
        Ok(Formula { text: text.to_owned(), value: sum })
    }

    /// The text that it was read from.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Checks that each name is a type of event, `rating`, or a column of events with numbers.
    ///
    /// # Errors
    /// The first other name.
    pub fn check(&self, data: &Dataset) -> Result<(), FaultKind> {
        let is_known = |name: &str| {
            name == RATING
                || data.types.iter().any(|t| t.name == name)
                || data.context_table.columns.iter().any(|column| column.name == name && column.kind == "number")
        };
        match self.names().into_iter().find(|name| !is_known(name)) {
            Some(name) => Err(FaultKind::UnknownName(name.to_owned())),
            None => Ok(()),
        }
    }

    /// The utility of some events of one visitor with one item, given by their places in `data.events`: of a type their
    /// number, of a column their sum, of `rating` the last one. `None` if it is not a finite number.
    pub fn of_events(&self, data: &Dataset, places: &[usize]) -> Option<f64> {
        let events = || places.iter().map(|place| (place, &data.events[*place]));
        let column = |name: &str| data.context_table.columns.iter().find(|column| column.name == name);
        self.value(&|name: &str| match (data.types.iter().position(|t| t.name == name), column(name)) {
            (Some(kind), _) => Some(events().filter(|(_, event)| usize::from(event.kind) == kind).count() as f64),
            (None, Some(column)) => Some(events().filter_map(|(place, _)| column.values[*place].number()).sum()),
            (None, None) => events().filter_map(|(_, event)| event.rating).next_back(),
        })
    }

    /// All names in it.
    pub fn names(&self) -> BTreeSet<&str> {
        let (mut names, mut open) = (BTreeSet::new(), vec![&self.value]);
        while let Some(expression) = open.pop() {
            match expression {
                Expression::Number(_) => {}
                Expression::Name(name) => _ = names.insert(name.as_str()),
                Expression::Negated(one) => open.push(one),
                Expression::Of(_, a, b) => open.extend([&**a, &**b]),
            }
        }
        names
    }

    /// The value, if `value` gives that of each name; a name without one counts as 0. `None` if the value is not a
    /// finite number, as after a division by 0.
    pub fn value(&self, value: &impl Fn(&str) -> Option<f64>) -> Option<f64> {
        Some(self.value.value(value)).filter(|x| x.is_finite())
    }
}

impl Expression {
    fn value(&self, of: &impl Fn(&str) -> Option<f64>) -> f64 {
        match self {
            Expression::Number(x) => *x,
            Expression::Name(name) => of(name).unwrap_or(0.0),
            Expression::Negated(one) => -one.value(of),
            Expression::Of(operator, a, b) => {
                let (a, b) = (a.value(of), b.value(of));
                match operator {
                    Operator::Plus => a + b,
                    Operator::Minus => a - b,
                    Operator::Times => a * b,
                    Operator::Divided => a / b,
                    Operator::Min => a.min(b),
                    Operator::Max => a.max(b),
                }
            }
        }
    }
}

struct Parser {
    text: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn fault(&self, kind: FaultKind) -> Fault {
        Fault { place: self.at, kind }
    }

    /// The next character that is no blank.
    fn next(&mut self) -> Option<char> {
        while self.text.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    /// Goes past the next character if it is one of `these`.
    fn take(&mut self, these: &[char]) -> Option<char> {
        let next = self.next().filter(|c| these.contains(c));
        self.at += usize::from(next.is_some());
        next
    }

    fn sum(&mut self) -> Result<Expression, Fault> {
        let mut sum = self.product()?;
        while let Some(sign) = self.take(&['+', '-']) {
            let operator = if sign == '+' { Operator::Plus } else { Operator::Minus };
            sum = Expression::Of(operator, sum.into(), self.product()?.into());
        }
        Ok(sum)
    }

    fn product(&mut self) -> Result<Expression, Fault> {
        let mut product = self.signed()?;
        while let Some(sign) = self.take(&['*', '/']) {
            let operator = if sign == '*' { Operator::Times } else { Operator::Divided };
            product = Expression::Of(operator, product.into(), self.signed()?.into());
        }
        Ok(product)
    }

    fn signed(&mut self) -> Result<Expression, Fault> {
        let mut negative = false;
        while self.take(&['-']).is_some() {
            negative = !negative;
        }
        let one = self.one()?;
        Ok(if negative { Expression::Negated(one.into()) } else { one })
    }

    fn one(&mut self) -> Result<Expression, Fault> {
        match self.next() {
            Some('(') => {
                self.at += 1;
                let inner = self.inside()?;
                self.close()?;
                Ok(inner)
            }
            Some(c) if c.is_ascii_digit() || c == '.' => self.number(),
            Some(c) if c.is_alphabetic() || c == '_' => self.name(),
            _ => Err(self.fault(FaultKind::NoValue)),
        }
    }

    /// A sum one level deeper.
    fn inside(&mut self) -> Result<Expression, Fault> {
        if self.depth == MOST_DEPTH {
            return Err(self.fault(FaultKind::TooDeep));
        }
        self.depth += 1;
        let sum = self.sum();
        self.depth -= 1;
        sum
    }

    fn close(&mut self) -> Result<(), Fault> {
        self.take(&[')']).map(|_| ()).ok_or_else(|| self.fault(FaultKind::NotClosed))
    }

    /// The characters from here on that `belongs` accepts.
    fn word(&mut self, belongs: impl Fn(char) -> bool) -> String {
        let word: String = self.text[self.at..].iter().take_while(|c| belongs(**c)).collect();
        self.at += word.chars().count();
        word
    }

    fn number(&mut self) -> Result<Expression, Fault> {
        let start = self.at;
        let text = self.word(|c| c.is_ascii_alphanumeric() || c == '.');
        // One syntax of numbers for the whole project: that of values.
        let number = Value::Text(text.clone()).number();
        number.map(Expression::Number).ok_or(Fault { place: start, kind: FaultKind::BadNumber(text) })
    }

    fn name(&mut self) -> Result<Expression, Fault> {
        let start = self.at;
        let name = self.word(|c| c.is_alphanumeric() || c == '_');
        if self.take(&['(']).is_none() {
            return Ok(Expression::Name(name));
        }
        let operator = match name.as_str() {
            "min" => Operator::Min,
            "max" => Operator::Max,
            _ => return Err(Fault { place: start, kind: FaultKind::NoFunction(name) }),
        };
        let mut all = self.inside()?;
        if self.take(&[',']).is_none() {
            return Err(self.fault(FaultKind::FewArguments));
        }
        loop {
            all = Expression::Of(operator, all.into(), self.inside()?.into());
            if self.take(&[',']).is_none() {
                break;
            }
        }
        self.close()?;
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<f64> {
        let names = |name: &str| match name {
            "comment" => Some(3.0),
            "hide" => Some(1.0),
            "rating" => Some(4.0),
            "größe_2" => Some(7.0),
            _ => None,
        };
        Formula::parse(text).unwrap_or_else(|fault| panic!("{text}: {fault}")).value(&names)
    }

    #[test]
    fn values_worked_out_by_hand() {
        for (text, expected) in [
            ("2*comment + share - 3*hide + 0.5*rating", 5.0),
            ("1 - 2 - 3", -4.0),
            ("24 / 4 / 2", 3.0),
            ("1+2*3", 7.0),
            ("(1+2)*3", 9.0),
            ("-comment - -2", -1.0),
            ("--2 * -3", -6.0),
            ("min(comment, 2)", 2.0),
            ("max(1, min(rating, 9), 2) / 2", 2.0),
            (" größe_2*.5 ", 3.5),
            ("1e3", 1000.0),
            ("nobody", 0.0),
        ] {
            assert_eq!(value(text), Some(expected), "{text}");
        }
        assert_eq!((value("1 / nobody"), value("0 / 0")), (None, None));
        let names = Formula::parse("a + max(b, 2*a) / (c - 1)").unwrap();
        assert_eq!(names.names().into_iter().collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn utilities_of_events() {
        let mut data = crate::protocols::tests::dataset(&[&[0, 0, 0]]);
        let types = ["view", "buy"].map(super::super::type_of);
        data.types = types.to_vec();
        data.events.change(|events| {
            events[1].kind = 1;
            events[1].rating = None;
            events[2].rating = Some(2.0);
        });
        let values = [Value::Number(1.5), Value::Missing, Value::Number(2.0)].to_vec();
        data.context_table.columns.push(super::super::Column { name: "hours".into(), kind: "number", values });
        let formula = Formula::parse("10*buy + view + hours - rating/4").unwrap();
        assert_eq!((formula.check(&data), formula.text()), (Ok(()), "10*buy + view + hours - rating/4"));
        assert_eq!(formula.of_events(&data, &[0, 1, 2]), Some(10.0 + 2.0 + 3.5 - 0.5));
        assert_eq!(formula.of_events(&data, &[0, 1]), Some(10.0 + 1.0 + 1.5 - 1.0), "the last rating that there is");
        assert_eq!(formula.of_events(&data, &[]), Some(0.0));
        let other = Formula::parse("buy + sell").unwrap();
        assert_eq!(other.check(&data), Err(FaultKind::UnknownName("sell".into())));
    }

    #[test]
    fn faults_are_named_with_their_place() {
        for (text, place, kind) in [
            ("", 0, FaultKind::NoValue),
            ("1 +", 3, FaultKind::NoValue),
            ("2 * / 3", 4, FaultKind::NoValue),
            ("a b", 2, FaultKind::NoOperator),
            ("2a", 0, FaultKind::BadNumber("2a".into())),
            ("1.2.3", 0, FaultKind::BadNumber("1.2.3".into())),
            ("(a + 1", 6, FaultKind::NotClosed),
            ("a + 1)", 5, FaultKind::NoOperator),
            ("1 + exp(2)", 4, FaultKind::NoFunction("exp".into())),
            ("min(1)", 5, FaultKind::FewArguments),
            ("min(1, 2", 8, FaultKind::NotClosed),
            ("min(1,)", 6, FaultKind::NoValue),
            ("a $ b", 2, FaultKind::NoOperator),
            ("ä + $", 4, FaultKind::NoValue),
        ] {
            let fault = Formula::parse(text).unwrap_err();
            assert_eq!((fault.place, &fault.kind), (place, &kind), "{text}: {fault}");
        }
        let deep = |n: usize| Formula::parse(&format!("{}1{}", "(".repeat(n), ")".repeat(n)));
        assert!(deep(MOST_DEPTH).is_ok());
        assert_eq!(deep(1000).unwrap_err().kind, FaultKind::TooDeep);
        assert_eq!(deep(100_000).unwrap_err().kind, FaultKind::TooLong);
        assert_eq!(Formula::parse(&format!("1{}", "+1".repeat(2047))).unwrap().value(&|_| None), Some(2048.0));
    }
}
