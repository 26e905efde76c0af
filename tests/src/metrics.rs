//! What a server counts, read as Prometheus reads it.

use std::collections::BTreeMap;

/// Samples by name and labels, as written.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// The page itself.
    pub text: String,
    samples: BTreeMap<String, f64>,
}

impl Metrics {
    /// Reads the text format; a line that is none of it fails.
    pub fn parse(text: &str) -> Metrics {
        let lines = text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'));
        let samples = lines.map(|line| {
            let (name, value) = line
                .rsplit_once(' ')
                .unwrap_or_else(|| panic!("{line:?} is no sample"));
            let value = value
                .parse()
                .unwrap_or_else(|_| panic!("{line:?} has no number"));
            (name.to_owned(), value)
        });
        Metrics {
            text: text.to_owned(),
            samples: samples.collect(),
        }
    }

    /// The sum over all labels of a name.
    pub fn sum(&self, name: &str) -> f64 {
        let of_name = |key: &str| key == name || key.starts_with(&format!("{name}{{"));
        let samples = self.samples.iter().filter(|(key, _)| of_name(key));
        samples.map(|(_, value)| value).sum()
    }

    /// Whether there is such a metric.
    pub fn has(&self, name: &str) -> bool {
        let of_name = |key: &String| key == name || key.starts_with(&format!("{name}{{"));
        self.samples.keys().any(of_name)
    }

    /// All names with labels.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.samples.keys().map(String::as_str)
    }
}
