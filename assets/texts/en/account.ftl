# Signing in and out, password, display.
sign-in = Sign in
