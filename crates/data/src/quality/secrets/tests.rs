use super::SecretKind::{
    ApiKey, CardNumber, Email, Iban, IpAddress, NationalId, Password, Phone, PrivateKey, Token,
};
use super::*;

/// Texts with one secret each. The keys are put together so that no scanner of the sources takes them for real ones.
const SECRETS: &[(&str, SecretKind, &str)] = &[
    ("Write to jane.doe+shop@example.co.uk today.", Email, "jane.doe+shop@example.co.uk"),
    ("mail:BOB_99@Mail.Example.COM.", Email, "BOB_99@Mail.Example.COM"),
    ("ask info@example.org.Thanks", Email, "info@example.org"),
    ("('jörg.müller@bücher.example')", Email, "jörg.müller@bücher.example"),
    ("请写信给support@example.com谢谢", Email, "support@example.com"),
    ("The phone is 01223358899.  Would you like", Phone, "01223358899"),
    ("can be reached at 01223 356354. Can I", Phone, "01223 356354"),
    ("we can be reached at 0871550101.", Phone, "0871550101"),
    ("Their phone number is 122 351 2596.", Phone, "122 351 2596"),
    ("ring +44 (0)20 7946 0958 after six", Phone, "+44 (0)20 7946 0958"),
    ("+441223358966 50 times", Phone, "+441223358966"),
    ("Tel. +1 (555) 123-4567", Phone, "+1 (555) 123-4567"),
    ("\n(123) 456-7891\nEmail", Phone, "(123) 456-7891"),
    ("**(212) 555-0123**", Phone, "(212) 555-0123"),
    ("dial 1-800-555-0199 now", Phone, "1-800-555-0199"),
    ("212.555.0123 works too", Phone, "212.555.0123"),
    ("appelez le 06 12 34 56 78", Phone, "06 12 34 56 78"),
    (
        "+33\u{a0}6\u{a0}12\u{a0}34\u{a0}56\u{a0}78",
        Phone,
        "+33\u{a0}6\u{a0}12\u{a0}34\u{a0}56\u{a0}78",
    ),
    ("call 98765 43210 tonight", Phone, "98765 43210"),
    ("my mobile number is 9876543210", Phone, "9876543210"),
    ("I paid with 4111 1111 1111 1111 yesterday", CardNumber, "4111 1111 1111 1111"),
    ("5555555555554444", CardNumber, "5555555555554444"),
    ("amex 3782-822463-10005 thanks", CardNumber, "3782-822463-10005"),
    ("2223003122003222, exp 04/27", CardNumber, "2223003122003222"),
    ("card 6011 1111 1111 1117 123", CardNumber, "6011 1111 1111 1117"),
    ("30569309025904", CardNumber, "30569309025904"),
    ("3530111333300000", CardNumber, "3530111333300000"),
    ("my visa is 4222222222222", CardNumber, "4222222222222"),
    ("to GB82 WEST 1234 5698 7654 32, please", Iban, "GB82 WEST 1234 5698 7654 32"),
    ("IBAN: de89370400440532013000.", Iban, "de89370400440532013000"),
    ("FR14 2004 1010 0505 0001 3M02 606", Iban, "FR14 2004 1010 0505 0001 3M02 606"),
    ("NL91ABNA0417164300 is mine", Iban, "NL91ABNA0417164300"),
    ("my SSN is 078-05-1120.", NationalId, "078-05-1120"),
    ("NI number AB 12 34 56 C", NationalId, "AB 12 34 56 C"),
    ("my ni number is ab123456c", NationalId, "ab123456c"),
    ("DNI 12345678Z", NationalId, "12345678Z"),
    ("NIE X-1234567-L", NationalId, "X-1234567-L"),
    ("NIR 2 95 10 99 126 111 93", NationalId, "2 95 10 99 126 111 93"),
    ("Meine Steuer-ID ist 86 095 742 719.", NationalId, "86 095 742 719"),
    ("tax id: 36574261809", NationalId, "36574261809"),
    ("login from 203.0.113.77 failed", IpAddress, "203.0.113.77"),
    ("http://81.2.69.142:8080/login", IpAddress, "81.2.69.142"),
    ("host 2001:db8:85a3::8a2e:370:7334: ok", IpAddress, "2001:db8:85a3::8a2e:370:7334"),
    ("[2001:db8:0:1:1:1:1:1]", IpAddress, "2001:db8:0:1:1:1:1:1"),
    (concat!("id ", "AKIA", "IOSFODNN7EXAMPLE,"), ApiKey, concat!("AKIA", "IOSFODNN7EXAMPLE")),
    (
        concat!("use gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"),
        ApiKey,
        concat!("gh", "p_16C7e42F292c6912E7710c838347Ae178B4a"),
    ),
    (concat!("key=sk", "-4f9dQ0c2b7Ze6a1538Xw"), ApiKey, concat!("sk", "-4f9dQ0c2b7Ze6a1538Xw")),
    (concat!("sk", "-ant-api03-4f9dQ0c2b7Ze6"), ApiKey, concat!("sk", "-ant-api03-4f9dQ0c2b7Ze6")),
    (
        concat!("xo", "xb-2401-7710-4f9dQ0c2b7Ze"),
        ApiKey,
        concat!("xo", "xb-2401-7710-4f9dQ0c2b7Ze"),
    ),
    (
        concat!("AI", "zaSyD4f9dQ0c2b7Ze6a1538XwPq7Zt3LkP0vX"),
        ApiKey,
        concat!("AI", "zaSyD4f9dQ0c2b7Ze6a1538XwPq7Zt3LkP0vX"),
    ),
    (concat!("sk", "_live_4f9dQ0c2b7Ze6a15"), ApiKey, concat!("sk", "_live_4f9dQ0c2b7Ze6a15")),
    (
        concat!("hf", "_QwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUi"),
        ApiKey,
        concat!("hf", "_QwErTyUiOpAsDfGhJkLzXcVbNmQwErTyUi"),
    ),
    (
        concat!("bot 110201543:", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"),
        ApiKey,
        concat!("110201543:", "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"),
    ),
    (
        concat!(
            "a\n-----BEGIN RSA PRIVATE",
            " KEY-----\nMIIEowIBAAKCAQEA75\n-----END RSA PRIVATE",
            " KEY-----\nb"
        ),
        PrivateKey,
        concat!(
            "-----BEGIN RSA PRIVATE",
            " KEY-----\nMIIEowIBAAKCAQEA75\n-----END RSA PRIVATE",
            " KEY-----"
        ),
    ),
    (
        concat!("-----BEGIN PRIVATE", " KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\nand cut"),
        PrivateKey,
        concat!("-----BEGIN PRIVATE", " KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\\nand cut"),
    ),
    (
        concat!("-----BEGIN EC PRIVATE", " KEY-----\nMHcCAQEEIIGLqR7S\n-----END EC"),
        PrivateKey,
        concat!("-----BEGIN EC PRIVATE", " KEY-----\nMHcCAQEEIIGLqR7S\n-----END EC"),
    ),
    ("Password: hunter22, please", Password, "hunter22"),
    ("**Password:** P@ssword", Password, "P@ssword"),
    ("{\"api_key\": \"k3y-97531x\", \"id\": 4}", Password, "k3y-97531x"),
    ("DB_PASSWORD='c0rrect-h0rse'", Password, "c0rrect-h0rse"),
    ("/cb?token=zx81qp7&user=4", Password, "zx81qp7"),
    ("the one time password is 879087", Password, "879087"),
    ("postgres://app:s3cr3t@db.example.com/x", Password, "s3cr3t"),
    ("https://bob:password@example.com", Password, "password"),
    (
        "jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmN",
        Token,
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmN",
    ),
    ("Authorization: Bearer 4f9d0c2b-7e6a1538.", Token, "4f9d0c2b-7e6a1538"),
    ("session q7Zt3LkP0vXw9RbN2sYh5JdM ended", Token, "q7Zt3LkP0vXw9RbN2sYh5JdM"),
    ("sid=Zx81QpT5vWm2Kd9RbY7cLf0H4nJs6AgE==;", Token, "Zx81QpT5vWm2Kd9RbY7cLf0H4nJs6AgE=="),
    ("the token was d41d8cd98f00b204e9800998ecf8427e", Token, "d41d8cd98f00b204e9800998ecf8427e"),
];

/// Ordinary talk without a secret.
const TALK: &[&str] = &[
    "I do not know how I can cancel purchase 00123842",
    "help to cancel purchase 00004587345",
    "I  don't know how to cancel order 732201349959",
    "order number 113542617735902 has not arrived",
    "order 01223358966 is late",
    "tracking number: 4111111111111111",
    "Amazon order 113-5426177-3590211",
    "cancel_order",
    "{{Order Number}} goes to {{Client Email}}",
    "write to {{ support@shop.example.com }} or call {{ 01223 358966 }}",
    "[EMAIL_1] rang [PHONE_2] with [TOKEN_12] and [CARD_NUMBER_3]",
    "password: [PASSWORD_1]",
    "I have train TR6003 leaving cambridge at 5:11 and arriving at 5:58 on sunday.",
    "The trip will cost 60.08. The total fee is 480.64 GBP payable at the station.",
    "It is in the postcode cb41da, 152 - 154 Hills Road",
    "Your reference number is 5GFHTVNP.",
    "a table for 5 @20:30 on the same day, 6 people not 2 @ 18:15",
    "3 persons nivika 45 gmailcom",
    "He made <<80000+50000=130000>>130,000 and <<100-200-3000=-3100>>",
    "She sells $1,234,567.89 or 1.234.567,89 € of eggs",
    "on 2024-11-24 at 10:30:45, again 2024-11-24T10:30:45+01:00",
    "call from 24.11.2024 18:00 to 05/06/2023 12:15, or 01-02-2023 until 03-04-2023",
    "call us between 09.00-17.00",
    "version 1.22.33.44 of the app, v12.34.56.78, release 10.15.7.3",
    "192.168.1.20, 10.0.0.1, 172.16.254.1 and 127.0.0.1",
    "listen on 0.0.0.0 with mask 255.255.255.0, see section 11.2.3.4",
    "300.400.500.600 and 1.2.3.4.5",
    "fe80::1:2:3:4 and ::1, but std::collections::BTreeMap",
    "MAC 00:1A:2B:3C:4D:5E at 12:30:45:10",
    "id 550e8400-e29b-41d4-a716-446655440000",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8",
    "md5 d41d8cd98f00b204e9800998ecf8427e",
    "follow @tunewise or ask @support_team",
    "lodash@4.17.21, icon@2x.png and a@b",
    "git@github.com:rust-lang/rust.git or ssh://git@example.com/x",
    "https://medium.com/@someone/how-to-cancel-an-order-in-5-steps-2024",
    "https://docs.google.com/document/d/1aBcD2eFgH3iJkL4mNoP5qRsT6uV/edit",
    "/usr/local/lib/python3.11/site-packages/NumPy/Core2",
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4",
    "password: {{password}}, password: ********, password=<your-password1>",
    "api_key = YOUR_API_KEY_123 or token=$API_TOKEN1",
    "https://user:***@example.com and https://{user}:{pass}@example.com",
    "I forgot my password: please help! The password is wrong.",
    "Token: required. Secret: patience. pwd: whatever-you-like",
    "password = getpass.getpass(1) and token = os.environ['KEY1']",
    "fn find(token: &str) -> Vec<Secret> { secret == password }",
    "getUserAccountByEmailAddressV2Handler",
    "IMG_20240115_WhatsAppPhoto.jpg and Order-Confirmation-2024-11-24",
    "4111 1111 1111 1112 or 9111 1111 1111 1111",
    "4006381333931 is a bar code",
    "GB82 WEST 1234 5698 7654 33",
    "000-12-3456, 666-12-3456, 912-34-5678, 123-00-4567 and 123-45-0000",
    "12345678A, AB123456E, GB123456A and ab123456c",
    "ISBN 978-3-16-148410-0, ZIP 02139-4307",
    "Steuer-ID 86095742718 is wrong",
    "86095742719 has no name",
    "at 51.507351, -0.127758 or +40.6892494",
    "M71.821 Other bursopathies, right elbow",
    "seen at 1700000000000 and 20240115103000",
    "a -----BEGIN CERTIFICATE----- is no key",
    concat!("it starts with -----BEGIN PRIVATE", " KEY----- and a base64 text"),
    "sk-learn-2-introduction-guide and task-management-system-2024",
    concat!("set sk", "-xxxxxxxxxxxxxxxxxxxxxxxx here"),
    "Bearer tokens are sent in the header: Bearer <token>",
    "4.5 stars from 1,024 reviews, seats 12 14 16 18 20 22",
    "numbers 250 300 4000 500 and 100 200 3000",
];

fn found(text: &str) -> Vec<(SecretKind, &str)> {
    find(text).into_iter().map(|secret| (secret.kind, &text[secret.range])).collect()
}

#[test]
fn secrets_are_found_with_their_exact_text() {
    for (text, kind, secret) in SECRETS {
        assert_eq!(found(text), [(*kind, *secret)], "{text}");
    }
}

#[test]
fn every_kind_has_three_examples() {
    let mut examples: BTreeMap<SecretKind, usize> = BTreeMap::new();
    SECRETS.iter().for_each(|(_, kind, _)| *examples.entry(*kind).or_default() += 1);
    assert_eq!(examples.len(), 10);
    assert!(examples.values().all(|count| *count >= 3), "{examples:?}");
}

#[test]
fn ordinary_talk_holds_no_secret() {
    for text in TALK {
        let secrets = found(text);
        assert!(secrets.is_empty(), "{text}: {secrets:?}");
    }
}

#[test]
fn of_overlapping_secrets_the_more_specific_is_found() {
    let key = concat!("sk", "-4f9dQ0c2b7Ze6a1538Xw");
    assert_eq!(found(&format!("api_key={key}")), [(ApiKey, key)]);
    assert_eq!(found("password: bob@example.com"), [(Email, "bob@example.com")]);
    let both = [(Password, "s3cr3t@x"), (Email, "bob@example.com")];
    assert_eq!(found("password=s3cr3t@x bob@example.com"), both);
}

#[test]
fn several_secrets_are_found_in_the_order_of_the_text() {
    let text =
        "Ana (ana@example.com, 01223 358966) pays with 5555 5555 5555 4444 from 203.0.113.9.";
    let expected = [
        (Email, "ana@example.com"),
        (Phone, "01223 358966"),
        (CardNumber, "5555 5555 5555 4444"),
        (IpAddress, "203.0.113.9"),
    ];
    assert_eq!(found(text), expected);
}

#[test]
fn the_same_secret_becomes_the_same_placeholder_in_every_text() {
    let mut redaction = Redaction::new();
    let first = redaction.redact("ana@example.com or bob@example.com, 01223 358966");
    assert_eq!(first.as_deref(), Some("[EMAIL_1] or [EMAIL_2], [PHONE_1]"));
    let second = redaction.redact("Is it Bob@Example.com or 01223358966?");
    assert_eq!(second.as_deref(), Some("Is it [EMAIL_2] or [PHONE_1]?"));
    assert_eq!(redaction.redact("nothing here"), None);
    assert_eq!(redaction.counts(), BTreeMap::from([(Email, 2), (Phone, 1)]));
}

#[test]
fn redacting_a_redacted_text_changes_nothing() {
    for (text, _, secret) in SECRETS {
        let redacted = Redaction::new().redact(text).unwrap();
        assert!(!redacted.contains(*secret), "{redacted}");
        assert_eq!(Redaction::new().redact(&redacted), None, "{redacted}");
    }
}

#[test]
fn every_placeholder_is_a_slot() {
    for (_, kind, _) in SECRETS {
        let placeholder = format!("[{}_7]", kind.placeholder());
        assert_eq!(pattern::slots(&placeholder).first(), Some(&(0..placeholder.len())));
    }
}

#[test]
fn credentials_are_told_from_personal_data() {
    let credentials = [ApiKey, PrivateKey, Password, Token];
    let personal = [Email, Phone, CardNumber, Iban, NationalId, IpAddress];
    assert!(credentials.iter().all(|kind| kind.is_credential()));
    assert!(personal.iter().all(|kind| !kind.is_credential()));
}

#[test]
fn a_redaction_shows_no_secret_in_its_debug_output() {
    let mut redaction = Redaction::new();
    redaction.redact("ana@example.com");
    assert_eq!(format!("{redaction:?}"), "Redaction { counts: {Email: 1}, .. }");
}
