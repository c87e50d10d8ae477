/// Implements `Debug` for a type whose other fields must not be printed, as `derive` cannot:
/// `opaque_debug!(Service<S: fmt::Debug, T> { inner, .. });` prints `Service { inner: …, .. }`.
macro_rules! opaque_debug {
    ($name:ident $(<$($param:ident $(: $bound:path)?),+>)? { $($field:ident,)* .. }) => {
        impl $(<$($param $(: $bound)?),+>)? std::fmt::Debug for $name $(<$($param),+>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $(.field(stringify!($field), &self.$field))*
                    .finish_non_exhaustive()
            }
        }
    };
}
