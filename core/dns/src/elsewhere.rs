//! Answers of other name servers, for hosts that ask `recursors`.
//!
//! [`read`](crate::read) refuses what is not its own to answer. A host with recursors puts the same
//! question to them, and relays the first reply that settles it.

const FLAGS_LOW: usize = 3;
const RECURSION_AVAILABLE: u8 = 0x80;
const CODE_BITS: u8 = 0x0f;
const NO_ERROR: u8 = 0;
const SERVER_FAILURE: u8 = 2;
const NO_SUCH_NAME: u8 = 3;
const REFUSED: u8 = 5;

/// Whether this answer leaves the question to others.
#[must_use]
pub fn is_wanted(answer: &[u8]) -> bool {
    answer.get(FLAGS_LOW).is_some_and(|flags| flags & CODE_BITS == REFUSED)
}

/// Whether `reply` belongs to `question` and settles it; then it may be relayed.
#[must_use]
pub fn settles(question: &[u8], reply: &[u8]) -> bool {
    let code = reply.get(FLAGS_LOW).map(|flags| flags & CODE_BITS);
    let answers = reply.get(2).is_some_and(|flags| flags & 0x80 != 0);
    answers
        && reply.len() >= 12
        && reply.get(..2) == question.get(..2)
        && matches!(code, Some(NO_ERROR | NO_SUCH_NAME))
}

/// A reply as it is relayed: whoever asks us can have recursion.
pub fn relay(reply: &mut [u8]) {
    if let Some(flags) = reply.get_mut(FLAGS_LOW) {
        *flags |= RECURSION_AVAILABLE;
    }
}

/// Turns our refusal into the answer that nobody settled the question.
pub fn nobody_settled(refusal: &mut [u8]) {
    if let Some(flags) = refusal.get_mut(FLAGS_LOW) {
        *flags = (*flags & !CODE_BITS) | RECURSION_AVAILABLE | SERVER_FAILURE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_reply_that_settles_is_relayed() {
        let question = [7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let reply = |code: u8| [7, 9, 0x81, code, 0, 1, 0, 0, 0, 0, 0, 0];
        assert!(settles(&question, &reply(0)));
        assert!(settles(&question, &reply(3)));
        assert!(!settles(&question, &reply(5)));
        assert!(!settles(&question, &question));
        assert!(!settles(&[1, 1], &reply(0)));
        assert!(is_wanted(&reply(5)));
        let mut refusal = reply(5);
        nobody_settled(&mut refusal);
        assert_eq!(refusal[3], 0x82);
    }
}
