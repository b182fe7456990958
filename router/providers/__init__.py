"""The providers: who answers, and how their wire becomes ours."""
