//! Draws what is shown: only as many lines as the terminal has.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Drawn, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};

use super::app::{App, Line, Tab};

const HELP: &str = "\
j k ↓ ↑ PgUp PgDn g G   move
← → h                   close, open
enter, esc              detail
/                       filter: forebear help query
1 2 3                   triggered by, created by, waiting on
t b l                   tree, table, leaks
s                       sort the table by the next column
u                       unfold what looks the same
space                   pause
y                       copy
q                       end";

pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App) {
    let rows = Layout::vertical([Constraint::Length(1), Constraint::Min(1), Constraint::Length(1)]);
    let [head, middle, foot] = rows.areas(frame.area());
    frame.render_widget(Paragraph::new(headline(app)), head);
    let (list, detail) = if app.is_detailed {
        let parts = Layout::vertical([Constraint::Percentage(55), Constraint::Percentage(45)]);
        let [list, detail] = parts.areas(middle);
        (list, Some(detail))
    } else {
        (middle, None)
    };
    draw_list(frame, app, list);
    if let Some(detail) = detail {
        let block = Block::new().borders(Borders::TOP).title("detail");
        let text = Paragraph::new(app.detail()).block(block).wrap(Wrap { trim: false });
        frame.render_widget(text, detail);
    }
    frame.render_widget(Paragraph::new(footline(app)), foot);
    if app.is_helping {
        let area = middle_of(frame.area(), 70, 13);
        frame.render_widget(Clear, area);
        let block = Block::bordered().title("keys");
        frame.render_widget(Paragraph::new(HELP).block(block), area);
    }
}

fn middle_of(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    }
}

fn headline(app: &App) -> Drawn<'static> {
    let tab = match app.tab {
        Tab::Tree => format!("tree, {}", app.edge),
        Tab::Table => format!("table by {}", app.sort.name()),
        Tab::Leaks => "leaks".to_owned(),
    };
    let mut spans = vec![
        Span::styled(app.title.clone(), Style::new().add_modifier(Modifier::BOLD)),
        Span::raw(format!("  {} alive  ", app.alive())),
    ];
    if app.leaking() > 0 {
        let text = format!("{} leaks  ", app.leaking());
        spans.push(Span::styled(text, Style::new().fg(Color::Red)));
    }
    spans.push(Span::styled(tab, Style::new().fg(Color::Cyan)));
    if !app.query().is_empty() {
        spans.push(Span::raw(format!("  filter: {}", app.query())));
    }
    if app.is_paused {
        spans.push(Span::styled("  paused", Style::new().fg(Color::Yellow)));
    }
    Drawn::from(spans)
}

fn footline(app: &App) -> Drawn<'static> {
    match &app.typing {
        Some(text) if app.said.is_empty() => Drawn::from(format!("/{text}█")),
        Some(text) => Drawn::from(vec![
            Span::raw(format!("/{text}█  ")),
            Span::styled(app.said.clone(), Style::new().fg(Color::Red)),
        ]),
        None if !app.said.is_empty() => Drawn::from(app.said.clone()),
        None => Drawn::styled("? keys  / filter  q end", Style::new().fg(Color::DarkGray)),
    }
}

fn draw_list(frame: &mut Frame<'_>, app: &mut App, area: Rect) {
    let mut height = usize::from(area.height);
    let mut drawn = Vec::with_capacity(height);
    if app.tab == Tab::Table {
        let names = "       ID     BUSY     POLLS    DELAY      AGE STATE    WHAT";
        drawn.push(Drawn::styled(names, Style::new().add_modifier(Modifier::UNDERLINED)));
        height = height.saturating_sub(1);
    }
    app.height = height;
    // What is chosen is on the screen.
    app.top = app.top.min(app.at).max((app.at + 1).saturating_sub(height));
    for nth in app.top..app.top + height {
        let Some(line) = app.line(nth) else { break };
        let style = style_of(line);
        let chosen = if nth == app.at { style.add_modifier(Modifier::REVERSED) } else { style };
        drawn.push(Drawn::styled(line.text.clone(), chosen));
    }
    frame.render_widget(Paragraph::new(drawn), area);
}

fn style_of(line: &Line) -> Style {
    let text = line.text.trim_start_matches(['│', '├', '└', '─', ' ']);
    let style = match text.chars().next() {
        _ if text.contains("LEAK: ") => Style::new().fg(Color::Red),
        Some('▶') => Style::new().fg(Color::Green),
        Some('◆') => Style::new().fg(Color::Yellow),
        Some('†') => Style::new().fg(Color::DarkGray),
        _ => Style::new(),
    };
    if line.is_dim { style.add_modifier(Modifier::DIM) } else { style }
}
