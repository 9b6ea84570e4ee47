use super::*;

const CANARY: &str = "s3cr3t/+ &\"ü<\\x";

fn redactor() -> Redactor {
    Redactor::new([("TOKEN", CANARY), ("SHORT", "abc"), ("PLAIN", "hunter2-hunter2")])
}

#[test]
fn a_value_is_found_however_it_is_written() {
    let mut json = serde_json::to_string(CANARY).expect("a text");
    json = json.trim_matches('"').to_owned();
    let twice = serde_json::to_string(&json).expect("a text").trim_matches('"').to_owned();
    for written in [
        CANARY,
        "s3cr3t%2F%2B%20%26%22%C3%BC%3C%5Cx",
        "s3cr3t%2f%2b%20%26%22%c3%bc%3c%5cx",
        "s3cr3t%2F%2B+%26%22%C3%BC%3C%5Cx",
        "s3cr3t/%2B+%26\"%C3%BC<%5Cx",
        "s3cr3t%252F%252B%2520%2526%2522%25C3%25BC%253C%255Cx",
        "s3cr3t/+ &\\\"\\u00fc<\\\\x",
        "s3cr3t\\/+ \\u0026\\\"\\u00FC\\u003c\\\\x",
        "s3cr3t/+ &amp;&quot;ü&lt;\\x",
        &json,
        &twice,
        format!("{CANARY:?}").trim_matches('"'),
    ] {
        assert_eq!(redactor().redact(&format!("a {written} b")), "a (env.TOKEN) b", "{written}");
    }
}

#[test]
fn tokens_in_base64_and_hexadecimal_go_whole() {
    for (text, clean) in [
        // user:hunter2-hunter2, xuser:.., xxuser:..
        ("Basic dXNlcjpodW50ZXIyLWh1bnRlcjI=", "Basic (env.PLAIN)"),
        ("eHVzZXI6aHVudGVyMi1odW50ZXIy", "(env.PLAIN)"),
        ("eHh1c2VyOmh1bnRlcjItaHVudGVyMg==", "(env.PLAIN)"),
        ("x 68756e746572322d68756e74657232 y", "x (env.PLAIN) y"),
        ("x 68756E746572322D68756E74657232 y", "x (env.PLAIN) y"),
    ] {
        assert_eq!(redactor().redact(text), clean);
    }
    let subjects = Redactor::new([("K", "???>>>~~~ÿÿÿ")]);
    assert_eq!(subjects.redact("Pz8/Pj4+fn5+w7/Dv8O/"), "(env.K)");
    assert_eq!(subjects.redact("Pz8_Pj4-fn5-w7_Dv8O_"), "(env.K)");
    assert_eq!(subjects.redact("Pz8%2FPj4%2Bfn5%2Bw7%2FDv8O%2F"), "(env.K)");
}

#[test]
fn a_value_that_was_cut_is_found() {
    for (text, clean) in [
        ("it said hunter2-h", "it said (env.PLAIN)"),
        ("it said hunt…", "it said (env.PLAIN)…"),
        ("it said hunt", "it said hunt"),
        ("hunting season", "hunting season"),
    ] {
        assert_eq!(redactor().redact(text), clean);
    }
}

#[test]
fn every_escape_of_a_character_is_read() {
    let redactor = Redactor::new([("A", "a\nb\tc\rd>e'f\"g h\\i\\\\jü€k")]);
    for written in [
        "a\\nb\\tc\\rd>e'f\\\"g h\\\\i\\\\\\\\j\\u{fc}\\u{20AC}k",
        "a\\x0ab\\x09c\\x0Dd\\x3ee\\x27f\\x22g\\x20h\\x5ci\\x5c\\x5cj\\u00FC\\u20ack",
        "a\nb\tc\rd&gt;e&apos;f&#34;g h\\i\\\\jü€k",
        "a\nb\tc\rd&gt;e&#39;f&quot;g h\\i\\\\jü€k",
        "a\nb\tc\rd&gt;e&#x27;f&quot;g+h\\i\\\\jü€k",
        "a%0Ab%09c%0Dd%3Ee%27f%22g%20h%5Ci%5C%5Cj%C3%BC%E2%82%ACk",
        "a\\\\nb\\\\tc\\\\rd>e'f\\\\\\\"g h\\\\\\\\i\\\\\\\\\\\\\\\\jü€k",
    ] {
        assert_eq!(redactor.redact(&format!("1{written}2")), "1(env.A)2", "{written}");
    }
    // A sign of percent in the value, encoded once and twice, before what only looks like an encoded byte.
    let percent = Redactor::new([("P", "50%2zebra"), ("Q", "60%z2-bra")]);
    for (written, clean) in [
        ("50%252zebra", "(env.P)"),
        ("50%25252zebra", "(env.P)"),
        ("60%25z2-bra", "(env.Q)"),
        ("60%2525z2-bra", "(env.Q)"),
    ] {
        assert_eq!(percent.redact(&format!("1{written}2")), format!("1{clean}2"), "{written}");
    }
    // One character is another one, or an escape is not whole.
    for written in [
        "a\\nb\\tc\\rd>e'f\\\"g h\\\\i\\\\\\\\j\\u{fd}\\u{20AC}k",
        "a\\x0ab\\x08c\\x0Dd\\x3ee\\x27f\\x22g\\x20h\\x5ci\\x5c\\x5cj\\u00FC\\u20ack",
        "a\nb\tc\rd&lt;e&apos;f&#34;g h\\i\\\\jü€k",
        "a%0Ab%09c%0Dd%3Ee%27f%22g%20h%5Ci%5Cj%C3%BC%E2%82%ACk",
        "a%0",
        "a\\x0",
        "a\\u00",
        "a\\",
        "a&g",
    ] {
        assert_eq!(redactor.redact(&format!("1{written}")), format!("1{written}"));
    }
}

#[test]
fn lengths_decide_what_is_looked_for() {
    let four = Redactor::new([("A", "wxyz"), ("B", "123"), ("C", " abcd "), ("D", "123456789ab\n-twelve-byte")]);
    for (text, clean) in [
        ("1wxyz2", "1(env.A)2"),
        ("1232", "1232"),
        ("1abcd2", "1(env.C)2"),
        ("123456789ab!", "123456789ab!"),
        ("-twelve-byte!", "(env.D)!"),
        // Base64 of `wxyz` with nothing, one byte and two bytes before it: five, four and five characters are its own.
        ("d3h5eg==", "(env.A)"),
        ("IXd4eXo=", "IXd4eXo="),
        ("ISF3eHl6", "(env.A)"),
    ] {
        assert_eq!(four.redact(text), clean, "{text}");
    }
    for (text, clean) in [
        ("hunter2-", "(env.PLAIN)"),
        ("hunter2", "hunter2"),
        ("hun…", "(env.PLAIN)…"),
        ("hu…", "hu…"),
        ("hunter2-hunter", "(env.PLAIN)"),
        ("hunter2-hunter!", "hunter2-hunter!"),
        ("68756e746572322d", "68756e746572322d"),
        ("hunter%32-", "(env.PLAIN)"),
        ("hunter2+hunter2", "hunter2+hunter2"),
    ] {
        assert_eq!(redactor().redact(text), clean, "{text}");
    }
}

#[test]
fn several_values_in_one_text_all_go() {
    let redactor = Redactor::new([("A", "first-secret"), ("B", "secret-second"), ("C", "first-")]);
    for (text, clean) in [
        ("first-secretfirst-secret", "(env.A)(env.A)"),
        ("first-secret-second!", "(env.A)!"),
        ("secret-second first-secret first-", "(env.B) (env.A) (env.C)"),
        ("first-first-secret", "(env.C)(env.A)"),
        ("a=first%2Dsecret&b=%73ecret-second", "a=(env.A)&b=(env.B)"),
    ] {
        assert_eq!(redactor.redact(text), clean);
    }
    // `first-secret` in hexadecimal, within a longer token, between characters of no token.
    let hexadecimal = "66697273742d736563726574";
    for (before, token, after) in
        [("(", "aZ09+/-_=", ")"), ("é", "", "é"), (".", "x", "."), ("", "", ""), (":", "==", "\"")]
    {
        let text = format!("{before}{token}{hexadecimal}{token}{after}");
        assert_eq!(redactor.redact(&text), format!("{before}(env.A){after}"));
    }
}

#[test]
fn what_is_no_secret_stays() {
    for text in [
        "",
        "abc",
        "plain text",
        "100 % of s3cr3t",
        "a&b=c\\n",
        "https://host:8080/a?b=c#d",
        "mail a@b.example",
        "--key",
    ] {
        assert!(matches!(redactor().redact(text), Cow::Borrowed(same) if same == text), "{text}");
    }
}

#[test]
fn addresses_lose_their_user_information_and_tokens() {
    for (text, clean) in [
        ("https://user:pass@host/x", "https://(redacted)@host/x"),
        ("postgres://u:p@ss@db:5432/x", "postgres://(redacted)@db:5432/x"),
        ("http://h/?a=1&access_token=x.y&b=2", "http://h/?a=1&access_token=(redacted)&b=2"),
        ("http://h/?TOKEN=x", "http://h/?TOKEN=(redacted)"),
        ("/x?api_key=a%20b;sig=q", "/x?api_key=(redacted);sig=(redacted)"),
        ("prog --db-password=x --token=y -v", "prog --db-password=(redacted) --token=(redacted) -v"),
        ("X-Amz-Signature: http://s3/?X-Amz-Signature=abc", "X-Amz-Signature: http://s3/?X-Amz-Signature=(redacted)"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer (redacted)"),
        ("{\"authorization\":\"abc\"}", "{\"authorization\":\"(redacted)\"}"),
        ("http://h/?token={{ env.T }}&x=1", "http://h/?token={{ env.T }}&x=1"),
        ("http://h/?key=hunter2-hunter2&x=1", "http://h/?key=(env.PLAIN)&x=1"),
    ] {
        assert_eq!(Redactor::redact(&redactor(), text), clean);
    }
}

#[test]
fn secrets_of_several_lines_are_found_by_line() {
    let redactor = Redactor::new([("PEM", "-----BEGIN-----\nMIIBVQIBADANBgkqhkiG\n-----END-----\n")]);
    assert_eq!(redactor.redact("key MIIBVQIBADANBgkqhkiG!"), "key (env.PEM)!");
}

#[test]
fn json_stays_json_and_numbers_stay() {
    let redactor = Redactor::new([("PORT", "8080"), ("WORD", "event")]);
    let accepts = |line: &[u8]| String::from_utf8_lossy(line).contains("\"kind\":\"event\"");
    let mut line = br#"{"kind":"event","n":8080,"text":"on 8080, event","8080":[1.5,"8080"]}"#.to_vec();
    redact_json(&redactor, &mut line, &accepts).expect("JSON");
    let clean = String::from_utf8(line).expect("text");
    assert_eq!(
        clean,
        r#"{"kind":"event","n":8080,"text":"on (env.PORT), (env.WORD)","(env.PORT)":[1.5,"(env.PORT)"]}"#
    );
}

#[test]
fn words_of_the_format_stay_only_where_the_line_needs_them() {
    let longest = "a-word_of-24-letters----".replace("24", "xx");
    let longer = format!("{longest}-");
    let redactor = Redactor::new([("WORD", "event"), ("LONGEST", longest.as_str()), ("LONGER", longer.as_str())]);
    let redacted = |line: String, accepts: Accepts<'_>| {
        let mut line = line.into_bytes();
        redact_json(&redactor, &mut line, accepts).expect("JSON");
        String::from_utf8(line).expect("text")
    };
    let line = || format!(r#"{{"event":"event","{longest}":"{longest}","{longer}":"{longer}"}}"#);
    let expected = format!(r#"{{"event":"(env.WORD)","{longest}":"(env.LONGEST)","(env.LONGER)":"(env.LONGER)"}}"#);
    assert_eq!(redacted(line(), &|_| true), expected);
    let expected = format!(r#"{{"event":"event","{longest}":"{longest}","(env.LONGER)":"(env.LONGER)"}}"#);
    assert_eq!(redacted(line(), &|line| line.starts_with(br#"{"event":"event""#)), expected);
}

#[test]
fn debug_output_holds_no_value() {
    assert!(!format!("{:?}", redactor()).contains("hunter2"));
}

proptest::proptest! {
    #[test]
    fn redaction_never_panics_and_leaves_no_value(secret in "\\PC{4,12}", text in "\\PC{0,40}") {
        let redactor = Redactor::new([("X", secret.as_str())]);
        let clean = redactor.redact(&text).into_owned();
        proptest::prop_assert!(!clean.contains(&secret) || "(env.X)(redacted)".contains(secret.as_str()));
        let with = format!("{text}{secret}{text}");
        let clean = redactor.redact(&with);
        proptest::prop_assert!(clean.contains("(env.X)") || clean.contains("(redacted)"), "{clean}");
    }
}
