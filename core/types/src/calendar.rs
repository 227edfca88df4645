//! Dates as people write them.

use crate::WallTime;
use alloc::format;
use alloc::string::String;

/// A date and time of day in UTC, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// Year of the common era.
    pub year: i64,
    /// 1 to 12.
    pub month: i64,
    /// 1 to 31.
    pub day: i64,
    /// Seconds since midnight.
    pub second_of_day: i64,
    /// Milliseconds of the second.
    pub millis: i64,
}

impl Calendar {
    /// The date of a wall-clock time (Hinnant's civil-from-days).
    #[must_use]
    pub fn of(time: WallTime) -> Self {
        let seconds = time.0.div_euclid(1000);
        let days = seconds.div_euclid(86_400) + 719_468;
        let era = days.div_euclid(146_097);
        let day_of_era = days.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted = (5 * day_of_year + 2) / 153;
        let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
        Self {
            year: year_of_era + era * 400 + i64::from(month <= 2),
            month,
            day: day_of_year - (153 * shifted + 2) / 5 + 1,
            second_of_day: seconds.rem_euclid(86_400),
            millis: time.0.rem_euclid(1000),
        }
    }

    /// `2026-11-22T10:15:17.292Z`, the form of log lines.
    #[must_use]
    pub fn rfc3339(&self) -> String {
        format!("{}T{}.{:03}Z", self.date(), self.time(), self.millis)
    }

    /// `2026-11-22T10:15:17Z`, the form of JSON for whole seconds.
    #[must_use]
    pub fn rfc3339_seconds(&self) -> String {
        format!("{}T{}Z", self.date(), self.time())
    }

    /// `2026-11-22`
    #[must_use]
    pub fn date(&self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }

    /// `10:15:17`
    #[must_use]
    pub fn time(&self) -> String {
        let s = self.second_of_day;
        format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_people_write_them() {
        let text = |ms| Calendar::of(WallTime(ms)).rfc3339();
        assert_eq!(text(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(text(1_795_342_517_292), "2026-11-22T10:15:17.292Z");
        assert_eq!(text(-1), "1969-12-31T23:59:59.999Z");
    }
}
