"""Operations behind the REST routes; they know no HTTP."""
