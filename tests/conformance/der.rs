//! As much of DER as signatures and RSA public keys need: a sequence of two integers.

/// The two integers of a sequence that is well formed, without the zero that is their sign.
pub(crate) fn two_integers(der: &[u8]) -> [&[u8]; 2] {
    let (sequence, _) = value(der, 0x30);
    let (first, rest) = value(sequence, 0x02);
    let (second, _) = value(rest, 0x02);
    [first, second].map(|integer| integer.strip_prefix(&[0]).unwrap_or(integer))
}

/// The value at the start of `der`, and what follows it.
fn value(der: &[u8], tag: u8) -> (&[u8], &[u8]) {
    assert_eq!(der[0], tag);
    let (length, rest) = match der[1] {
        short @ 0..0x80 => (usize::from(short), &der[2..]),
        long => {
            let (length, rest) = der[2..].split_at(usize::from(long & 0x7f));
            (length.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
    };
    rest.split_at(length)
}

/// The sequence of the two unsigned integers that are the halves of `both`.
pub(crate) fn sequence_of_halves(both: &[u8]) -> Vec<u8> {
    let (first, second) = both.split_at(both.len() / 2);
    tagged(0x30, &[integer(first), integer(second)].concat())
}

fn integer(unsigned: &[u8]) -> Vec<u8> {
    let zeros = unsigned.iter().take_while(|byte| **byte == 0).count();
    let digits = &unsigned[zeros.min(unsigned.len() - 1)..];
    let sign = if digits[0] < 0x80 { &[][..] } else { &[0] };
    tagged(0x02, &[sign, digits].concat())
}

fn tagged(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).expect("no more than a P-521 signature takes");
    let length = if length < 0x80 { vec![length] } else { vec![0x81, length] };
    [&[tag], &length[..], value].concat()
}
