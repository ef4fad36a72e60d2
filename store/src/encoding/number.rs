//! Numbers of variable length: seven bits a byte, the lowest first, a set high bit where more follow.

use super::Damaged;

/// Appends a number; small ones take one byte.
pub(super) fn put_u64(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(low_bits(number) | 0x80);
        number >>= 7;
    }
    bytes.push(low_bits(number));
}

/// Appends a signed number, zigzag: small magnitudes take one byte.
pub(super) fn put_i128(bytes: &mut Vec<u8>, number: i128) {
    let mut zigzag = ((number << 1) ^ (number >> 127)).cast_unsigned();
    while let high @ 1.. = zigzag >> 7 {
        bytes.push(low_bits(zigzag) | 0x80);
        zigzag = high;
    }
    bytes.push(low_bits(zigzag));
}

fn low_bits(number: impl Into<u128>) -> u8 {
    u8::try_from(number.into() & 0x7f).unwrap_or_default()
}

/// Reads a value front to back.
pub(crate) struct Reader<'bytes> {
    rest: &'bytes [u8],
    what: &'static str,
}

impl<'bytes> Reader<'bytes> {
    /// A reader of `bytes`, which should be a `what`.
    pub fn new(bytes: &'bytes [u8], what: &'static str) -> Self {
        Self { rest: bytes, what }
    }

    /// Reads the version byte.
    pub fn version(&mut self, version: u8) -> Result<(), Damaged> {
        if self.byte()? == version { Ok(()) } else { Err(self.damaged()) }
    }

    pub fn byte(&mut self) -> Result<u8, Damaged> {
        let (&byte, rest) = self.rest.split_first().ok_or(self.damaged())?;
        self.rest = rest;
        Ok(byte)
    }

    pub fn u64(&mut self) -> Result<u64, Damaged> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            number |= bits << shift;
            if bits << shift >> shift != bits {
                break;
            }
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(self.damaged())
    }

    pub fn u32(&mut self) -> Result<u32, Damaged> {
        u32::try_from(self.u64()?).map_err(|_| self.damaged())
    }

    pub fn usize(&mut self) -> Result<usize, Damaged> {
        usize::try_from(self.u64()?).map_err(|_| self.damaged())
    }

    pub fn i128(&mut self) -> Result<i128, Damaged> {
        let mut zigzag = 0;
        for shift in (0..u128::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            zigzag |= bits << shift;
            if bits << shift >> shift != bits {
                break;
            }
            if byte < 0x80 {
                return Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed());
            }
        }
        Err(self.damaged())
    }

    /// Takes so many bytes.
    pub fn take(&mut self, length: usize) -> Result<&'bytes [u8], Damaged> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(self.damaged())?;
        self.rest = rest;
        Ok(taken)
    }

    /// Takes as many bytes as the array is long.
    pub fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], Damaged> {
        let (&taken, rest) = self.rest.split_first_chunk().ok_or(self.damaged())?;
        self.rest = rest;
        Ok(taken)
    }

    /// Checks that nothing is left.
    pub fn end(&self) -> Result<(), Damaged> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.damaged()) }
    }

    /// How many bytes are left: no count in a value can be larger.
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub fn damaged(&self) -> Damaged {
        Damaged { what: self.what }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_come_back(signed: i128, unsigned: u64, shift in 0_u32..64) {
            let mut bytes = Vec::new();
            put_i128(&mut bytes, signed);
            put_i128(&mut bytes, signed >> shift);
            put_u64(&mut bytes, unsigned);
            put_u64(&mut bytes, unsigned >> shift);
            let mut reader = Reader::new(&bytes, "test");
            prop_assert_eq!(reader.i128(), Ok(signed));
            prop_assert_eq!(reader.i128(), Ok(signed >> shift));
            prop_assert_eq!(reader.u64(), Ok(unsigned));
            prop_assert_eq!(reader.u64(), Ok(unsigned >> shift));
            prop_assert_eq!(reader.end(), Ok(()));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..24)) {
            let _ = Reader::new(&bytes, "test").u64();
            let _ = Reader::new(&bytes, "test").i128();
        }
    }

    #[test]
    fn extremes_come_back_and_overlong_numbers_are_refused() {
        for number in [i128::MIN, i128::MAX, 0, -1, 1 << 64] {
            let mut bytes = Vec::new();
            put_i128(&mut bytes, number);
            assert_eq!(Reader::new(&bytes, "test").i128(), Ok(number));
        }
        assert!(Reader::new(&[0xff; 10], "test").u64().is_err());
        assert!(Reader::new(&[0xff; 19], "test").i128().is_err());
        assert!(Reader::new(&[0x80], "test").u64().is_err());
    }
}
