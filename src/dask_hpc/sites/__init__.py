"""Sites: settings, profiles, detection, and the way from them to specs. The user's side only."""
