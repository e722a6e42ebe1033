//! What a fault makes of the texts.

use ops_core::notifier::{Notification, Notifier};

use super::Sabotaged;

impl Sabotaged {
    /// What a fault sends instead of a notification.
    pub(super) async fn twisted(&self, mut it: Notification) -> Notification {
        let is_long = it.body.as_ref().is_some_and(|body| body.len() > 1_000);
        let strip = |text: &str, from: &str, to: &str| text.replace(from, to);
        match self.fault() {
            "N-020" if it.title.contains("the-disk") => it.title.clear(),
            "N-022" => it.source = None,
            "N-023" => it.body = it.body.map(first_line),
            "N-024" => it.details.clear(),
            "N-025" => it.runbook = None,
            "N-028" => it.title = self.batched(it.title).await,
            "N-029" => {
                if let Some(token) = it.details.remove("api_token") {
                    it.details.insert("note".to_owned(), token);
                }
            }
            "N-033" if is_long => it.title.truncate(22),
            "N-036" => it.title = strip(&it.title, "ß", "?"),
            "N-040" => it.title = strip(&it.title, "*", ""),
            "N-041" => it.title = strip(&it.title, "<!channel>", "@channel"),
            "N-042" => it.title = strip(&it.title, "&amp;", "&"),
            "N-044" => it.body = it.body.as_deref().map(until_dot),
            "N-045" => {
                for link in &mut it.links {
                    link.url = strip(&link.url, "&b", "");
                }
            }
            _ => {}
        }
        it
    }

    /// All titles that are under way, in one.
    async fn batched(&self, title: String) -> String {
        self.notes().pending.push(title);
        tokio::task::yield_now().await;
        std::mem::take(&mut self.notes().pending).join(", ")
    }

    /// What people read where a fault shows it.
    pub(in super::super) fn as_read(&self, mut texts: Vec<String>) -> Vec<String> {
        let max = self.memory().limits().max_text_chars.unwrap() as usize;
        match self.fault() {
            "N-026" => texts.extend_from_within(..),
            "N-027" => texts.reverse(),
            _ => {}
        }
        for text in &mut texts {
            let is_cut = text.chars().count() == max;
            match self.fault() {
                "N-021" => *text = text.replace("resolved", "changed"),
                "N-034" if is_cut => text.push_str("..."),
                "N-035" if is_cut => {
                    text.pop();
                    text.push('\u{fffd}');
                }
                "N-043" => *text = text.replace("  Bcc:", "\nBcc:"),
                _ => {}
            }
        }
        texts
    }
}

fn first_line(body: String) -> String {
    if body.contains('\r') {
        return body;
    }
    body.lines().next().unwrap_or_default().to_owned()
}

fn until_dot(body: &str) -> String {
    body.split("\r\n.\r\n").next().unwrap().to_owned()
}
