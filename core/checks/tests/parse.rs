//! Bodies and what is said of them. The texts were captured from Consul 1.8.7.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proconsul_checks::parse::{self, Origin, Scripts};
use proconsul_checks::{CheckKind, ServiceDefinition};
use proconsul_types::Duration;

fn said(body: &str) -> (u16, String) {
    match parse::service_registration(body.as_bytes(), Scripts::Refused) {
        Ok(_) => (200, String::new()),
        Err(error) => (error.status, error.text),
    }
}

#[test]
fn services_are_refused_in_consuls_words() {
    let decode = "Request decode failed: ";
    for (body, text) in [
        ("{", "unexpected EOF"),
        ("", "EOF"),
        (
            r#"{"Name":1}"#,
            "json: cannot unmarshal number into Go struct field .Name of type string",
        ),
        (
            r#"{"Name":"x","Port":"1"}"#,
            "json: cannot unmarshal string into Go struct field .Port of type int",
        ),
        (
            r#"{"Name":"x","Port":1.5}"#,
            "json: cannot unmarshal number 1.5 into Go struct field .Port of type int",
        ),
        (
            r#"{"Name":"x","Tags":"a"}"#,
            "json: cannot unmarshal string into Go struct field .Tags of type []string",
        ),
        (
            r#"{"Name":"x","Tags":["a",1]}"#,
            "json: cannot unmarshal number into Go struct field .Tags of type string",
        ),
        (r#"{"Name":"x","Check":{"TTL":"x"}}"#, "time: invalid duration \"x\""),
        (
            r#"{"Name":"x","Meta":{"a":1}}"#,
            "json: cannot unmarshal number into Go struct field .Meta of type string",
        ),
        (
            r#"{"Name":"x","Meta":[]}"#,
            "json: cannot unmarshal array into Go struct field .Meta of type map[string]string",
        ),
        (
            r#"{"Name":"x","Weights":{"Passing":"a"}}"#,
            "json: cannot unmarshal string into Go struct field Weights.Weights.Passing of type int",
        ),
        (
            r#"{"Name":"x","Weights":5}"#,
            "json: cannot unmarshal number into Go struct field .Weights of type structs.Weights",
        ),
        (
            r#"{"Name":"x","Check":{"TTL":"10s","Header":{"a":"b"}}}"#,
            "json: cannot unmarshal string into Go struct field .Check of type []string",
        ),
        (r#"{"Name":"x","Checks":[{"TTL":"10s","Bogus":1}]}"#, "json: unknown field \"Bogus\""),
        (
            r#"{"Name":"x","Checks":{"TTL":"10s"}}"#,
            "json: cannot unmarshal object into Go struct field .Checks of type structs.CheckTypes",
        ),
        (
            r#"{"Name":"x","EnableTagOverride":"true"}"#,
            "json: cannot unmarshal string into Go struct field .EnableTagOverride of type bool",
        ),
        (r#"{"Name":"x","Bogus":1}"#, "json: unknown field \"Bogus\""),
        (r#"{"Name":"x","service_id":1}"#, "json: unknown field \"service_id\""),
        (r#"{"Name":"x","Proxy":{"Foo":1}}"#, "json: unknown field \"Foo\""),
        (r#"{"Name":"x","Check":{"TTL":"10s","ID":"a"}}"#, "json: unknown field \"ID\""),
        (
            r#"{"Name":"x","TaggedAddresses":{"lan":{"Address":"1.1.1.1","Port":"x"}}}"#,
            "json: cannot unmarshal string into Go struct field ServiceAddress.TaggedAddresses.Port of type int",
        ),
        (
            r#"{"Name":"x","Check":{"HTTP":"a","Interval":1.5e9,"Timeout":"10"}}"#,
            "time: missing unit in duration \"10\"",
        ),
        (
            r#"{"Name":"x","Check":{"TTL":"10s","SuccessBeforePassing":"5"}}"#,
            "json: cannot unmarshal string into Go struct field .Check of type int",
        ),
    ] {
        assert_eq!(said(body), (400, format!("{decode}{text}")), "{body}");
    }
}

#[test]
fn definitions_that_make_no_sense_are_refused() {
    for (body, text) in [
        ("null", "Missing service name"),
        (r#"{"Name":"x","Address":"::"}"#, "Invalid service address"),
        (r#"{"Name":"x","Weights":{}}"#, "Invalid Weights: Passing must be greater than 0"),
        (
            r#"{"Name":"x","Weights":{"Passing":1,"Warning":-1}}"#,
            "Invalid Weights: Warning must be greater or equal than 0",
        ),
        (
            r#"{"Name":"x","Weights":{"Passing":99999,"Warning":1}}"#,
            "Invalid Weights: DNS Weight must be between 0 and 65535",
        ),
        (
            r#"{"Name":"x","Meta":{"consul-a":"b"}}"#,
            "Invalid Service Meta: Couldn't load metadata pair ('consul-a', 'b'): Key prefix 'consul-' is reserved for internal use",
        ),
        (
            r#"{"Name":"x","Meta":{"":"b"}}"#,
            "Invalid Service Meta: Couldn't load metadata pair ('', 'b'): Key cannot be blank",
        ),
        (
            r#"{"Name":"x","Meta":{"bad key":"x"}}"#,
            "Invalid Service Meta: Couldn't load metadata pair ('bad key', 'x'): Key contains invalid characters",
        ),
        (
            r#"{"Name":"x","Check":{"HTTP":"a","OutputMaxSize":-1,"Interval":"1s"}}"#,
            "Invalid check: MaxOutputMaxSize must be positive",
        ),
        (
            r#"{"Name":"x","Check":{"Name":"only"}}"#,
            "Invalid check: TTL must be > 0 for TTL checks",
        ),
        (r#"{"Name":"x","Checks":[{}]}"#, "Invalid check: TTL must be > 0 for TTL checks"),
        (r#"{"Name":"x","Check":{"TTL":"-5s"}}"#, "Invalid check: TTL must be > 0 for TTL checks"),
        (
            r#"{"Name":"x","Check":{"TTL":"10s","HTTP":"h"}}"#,
            "Invalid check: Interval must be > 0 for Script, HTTP, or TCP checks",
        ),
        (
            r#"{"Name":"x","Check":{"TTL":"10s","Status":"a"}}"#,
            "Status for checks must 'passing', 'warning', 'critical'",
        ),
        (
            r#"{"Name":"x","Kind":"connect-proxy"}"#,
            "2 errors occurred:\n\t* Proxy.DestinationServiceName must be non-empty for Connect proxy services\n\t* Port must be set for a Connect proxy\n\n",
        ),
    ] {
        assert_eq!(said(body), (400, text.into()), "{body}");
    }
    let scripts = "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true";
    let script = r#"{"Name":"x","Check":{"Args":["a"],"Interval":"1s"}}"#;
    assert_eq!(said(script), (500, scripts.into()));
    let service = parse::service_registration(script.as_bytes(), Scripts::Run).unwrap();
    assert!(matches!(&service.checks[0].kind, CheckKind::Script { args, .. } if args.len() == 1));
}

#[test]
fn what_consul_takes_is_taken() {
    for body in [
        r#"{"Name":"x"}zzz"#,
        r#"{"name":"x","ENABLETAGOVERRIDE":true}"#,
        r#"{"Name":"x","enable_tag_override":true,"tagged_addresses":{"lan":{"address":"0.0.0.0"}}}"#,
        r#"{"Name":"x","Check":{}}"#,
        r#"{"Name":"x","Check":{"TTL":10}}"#,
        r#"{"Name":"x","Connect":{"Native":true,"Foo":1}}"#,
        r#"{"Name":"x","Port":-1,"Tags":null,"Meta":null}"#,
    ] {
        assert_eq!(said(body).0, 200, "{body}");
    }
}

#[test]
fn checks_are_refused_in_consuls_words() {
    for (body, status, text) in [
        (
            r#"{"Name":"c","CheckID":"a","TTL":"1s"}"#,
            400,
            "Request decode failed: json: unknown field \"CheckID\"",
        ),
        (
            r#"{"Name":"c","TTL":"1s","check_id":"x"}"#,
            400,
            "Request decode failed: json: unknown field \"check_id\"",
        ),
        (
            r#"{"Name":"c","Notes":1}"#,
            400,
            "Request decode failed: json: cannot unmarshal number into Go struct field .Notes of type string",
        ),
        (r#"{"Name":"c"}"#, 400, "Invalid check: TTL must be > 0 for TTL checks"),
        ("{}", 400, "Missing check name"),
        (r#"{"Name":"c","Status":"bad","TTL":"1s"}"#, 400, "Bad check status"),
        (
            r#"{"Name":"c","AliasService":"web","TTL":"1s"}"#,
            400,
            "Invalid check: TTL must be not be set for Alias checks",
        ),
        (
            r#"{"Name":"c","Interval":"1s","TTL":"1s"}"#,
            400,
            "Invalid check: Interval and TTL cannot both be specified",
        ),
    ] {
        let error = parse::check_registration(body.as_bytes(), Scripts::Refused).unwrap_err();
        assert_eq!((error.status, &*error.text), (status, text), "{body}");
    }
}

fn service(body: &str) -> ServiceDefinition {
    parse::service_registration(body.as_bytes(), Scripts::Refused).unwrap()
}

#[test]
fn ids_names_and_addresses_are_filled_in() {
    let one = service(r#"{"Name":"web","Check":{"TTL":"1s"}}"#);
    assert_eq!((&*one.registration.id, &*one.checks[0].id), ("web", "service:web"));
    assert_eq!(&*one.checks[0].name, "Service 'web' check");
    let two = service(r#"{"Name":"web","ID":"w","Checks":[{"TTL":"1s"}],"Check":{"TTL":"2s"}}"#);
    assert_eq!(&*two.checks[0].id, "service:w:1");
    assert_eq!(two.checks[0].kind, CheckKind::Ttl(Duration::from_secs(2)));
    assert_eq!(&*two.checks[1].id, "service:w:2");
    let addressed = service(
        r#"{"Name":"web","Port":8080,"Address":"10.1.2.3","TaggedAddresses":{"wan":{"Address":"198.18.0.53","Port":80}}}"#,
    );
    let tags: Vec<_> = addressed
        .registration
        .tagged_addresses
        .iter()
        .map(|(tag, at)| format!("{tag} {}:{}", at.address, at.port))
        .collect();
    assert_eq!(tags, ["lan_ipv4 10.1.2.3:8080", "wan 198.18.0.53:80", "wan_ipv4 10.1.2.3:8080"]);
    let weighted = service(r#"{"Name":"web","Weights":{"Passing":5}}"#);
    assert_eq!(
        (weighted.registration.weights.passing, weighted.registration.weights.warning),
        (5, 0)
    );
}

#[test]
fn files_may_write_names_with_underscores() {
    let value = serde_json::json!({
        "name": "web", "tagged_addresses": {"wan": {"address": "1.2.3.4", "port": 1}},
        "checks": [{
            "id": "c", "tcp": "h:1", "interval": "10s", "success_before_passing": 2,
            "deregister_critical_service_after": "90m", "tls_skip_verify": true,
        }],
    });
    let service = parse::service_definition(&value, Origin::File).unwrap();
    assert_eq!(&*service.checks[0].id, "c");
    assert_eq!(service.checks[0].success_before_passing, 2);
    assert_eq!(service.checks[0].deregister_after, Some(Duration::from_secs(5400)));
    let value = serde_json::json!({"name": "c", "service_id": "web", "ttl": "1s", "bogus": 1});
    let error = parse::check_definition(&value, Origin::File).unwrap_err();
    assert_eq!(error.text, "invalid config key bogus");
}

#[test]
fn keys_of_files_are_named_with_their_path() {
    for (definition, key) in [
        (serde_json::json!({"name": "a", "check": {"script": "x"}}), "check.script"),
        (serde_json::json!({"name": "a", "checks": [{"ttl": "1s"}, {"x": 1}]}), "checks[1].x"),
        (serde_json::json!({"name": "a", "x": 1}), "x"),
    ] {
        let error = parse::service_definition(&definition, Origin::File).unwrap_err();
        assert_eq!(error.text, format!("invalid config key {key}"));
    }
}

#[test]
fn checks_that_are_not_run_are_refused() {
    for (kind, fields) in [
        ("HTTPS", r#""HTTP":"https://127.0.0.1:1/""#),
        ("HTTPS", r#""HTTP":"HTTPS://127.0.0.1:1/""#),
        ("gRPC", r#""GRPC":"127.0.0.1:1""#),
    ] {
        let check = format!(r#"{{"Name":"x",{fields},"Interval":"1s"}}"#);
        let text = format!("Invalid check: this agent does not run {kind} checks");
        let error = parse::check_registration(check.as_bytes(), Scripts::Refused).unwrap_err();
        assert_eq!((error.status, &error.text), (400, &text));
        assert_eq!(said(&format!(r#"{{"Name":"s","Check":{check}}}"#)), (400, text.clone()));
        let value = serde_json::from_str(&check).unwrap();
        let error = parse::check_definition(&value, Origin::File).unwrap_err();
        assert_eq!(error.text, text);
    }
}
