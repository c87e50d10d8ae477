//! Tokens of machines: of a cluster and of CI jobs. They have no ID tokens beside them.

use super::{Provider, snippets, typed, untyped};
use crate::api::{NOW, with};
use serde_json::json;

#[tokio::test]
async fn kubernetes_tokens_of_the_service_account_for_the_api_pass_alone() {
    let cluster = "https://kubernetes.default.svc.cluster.local";
    let claims = json!({
        "aud": ["https://orders.example.com"], "iss": cluster, "jti": "7d0c", "nbf": NOW - 10,
        "sub": "system:serviceaccount:shop:billing",
        "kubernetes.io": {
            "namespace": "shop", "node": {"name": "n", "uid": "u"},
            "pod": {"name": "p", "uid": "u"}, "serviceaccount": {"name": "billing", "uid": "u"},
            "warnafter": NOW + 3_607,
        },
    });
    let kubernetes = Provider::new(snippets::kubernetes(), untyped(), claims).await;
    let who = kubernetes.accepts(json!({"jti": null})).await;
    assert_eq!(who.subject(), Some("system:serviceaccount:shop:billing"));
    let other = json!({"sub": "system:serviceaccount:shop:default"});
    kubernetes.forbids("another service account", other).await;
    kubernetes
        .forbids("another namespace", json!({"sub": "system:serviceaccount:x:billing"}))
        .await;
    kubernetes.refuses("another cluster", json!({"iss": "https://kubernetes.default.svc"})).await;
    kubernetes.refuses("for the API server", json!({"aud": [cluster]})).await;
    let legacy = json!({"iss": "kubernetes/serviceaccount", "exp": null, "aud": null});
    kubernetes.refuses("a legacy token", legacy).await;
}

#[tokio::test]
async fn github_tokens_of_the_environment_of_the_repository_pass_alone() {
    let claims = json!({
        "jti": "6fbe", "sub": "repo:acme/shop:environment:prod", "aud": "shop-deploy",
        "ref": "refs/heads/main", "repository": "acme/shop", "repository_owner": "acme",
        "run_id": "1", "environment": "prod", "runner_environment": "github-hosted",
        "iss": "https://token.actions.githubusercontent.com", "nbf": NOW - 10,
    });
    let header = with(typed(), json!({"x5t": "k1"}));
    let github = Provider::new(snippets::github_actions(), header, claims).await;
    github.accepts(json!({})).await;
    github.forbids("another repository", json!({"repository": "evil/shop"})).await;
    github.forbids("another environment", json!({"environment": "test"})).await;
    github.refuses("no environment", json!({"environment": null})).await;
    github.refuses("the default audience", json!({"aud": "https://github.com/acme"})).await;
    let server = "https://ghe.example.com/_services/token";
    github.refuses("an Enterprise Server", json!({"iss": server})).await;
}

#[tokio::test]
async fn gitlab_tokens_of_protected_branches_of_the_project_pass_alone() {
    let claims = json!({
        "namespace_id": "72", "namespace_path": "acme", "project_id": "20", "pipeline_id": "574",
        "project_path": "acme/shop", "user_id": "1", "user_login": "alice", "job_id": "302",
        "ref": "main", "ref_type": "branch", "ref_protected": "true", "jti": "235b3a54",
        "iss": "https://gitlab.com", "nbf": NOW - 10, "aud": "shop-deploy",
        "sub": "project_path:acme/shop:ref_type:branch:ref:main",
    });
    let gitlab = Provider::new(snippets::gitlab(), typed(), claims).await;
    gitlab.accepts(json!({})).await;
    gitlab.forbids("another project", json!({"project_path": "evil/shop"})).await;
    gitlab.forbids("any branch", json!({"ref": "x", "ref_protected": "false"})).await;
    gitlab.refuses("a flag that is no text", json!({"ref_protected": true})).await;
    gitlab.refuses("another instance", json!({"iss": "https://gitlab.example.com"})).await;
}
