-- Who sent a quarantined message, where that is a token which reaches only a part of the instance: it may fill only a part
-- of the quarantine. The index has what the quota is computed from, without the messages themselves.
ALTER TABLE quarantine ADD COLUMN sender text;

CREATE INDEX quarantine_sender ON quarantine (sender, length(raw));
