/// Implements `Debug` for a type by its name and the fields listed, each of which must print no
/// secret; `..` stands for the others: `opaque_debug!(Service<S: fmt::Debug, T> { inner });`.
macro_rules! opaque_debug {
    ($name:ident $(<$($param:ident $(: $bound:path)?),+>)? $({ $($field:ident),+ })?) => {
        impl $(<$($param $(: $bound)?),+>)? std::fmt::Debug for $name $(<$($param),+>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($name))
                    $($(.field(stringify!($field), &self.$field))+)?
                    .finish_non_exhaustive()
            }
        }
    };
}
