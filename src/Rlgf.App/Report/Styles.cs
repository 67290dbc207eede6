using System.Globalization;

namespace Rlgf.App.Report;

/// <summary>Style sheets of reports and pictures. Fonts are the reader's own: nothing is loaded.</summary>
internal static class Styles
{
    private const int Palette = 10;

    /// <summary>Colours for light and dark surroundings.</summary>
    public const string Colours = """
        :root {
          color-scheme: light dark;
          --paper: #ffffff; --card: #f7f7f5; --ink: #1d2025; --soft: #5f6672; --line: #dcdee3; --accent: #2158d0;
          --policy: #dbe7ff; --guide: #ffe6bf; --up: #17803d; --down: #c02626;
          --c0: #2563eb; --c1: #d97706; --c2: #0f9d6b; --c3: #9333ea; --c4: #dc2626; --c5: #0891b2; --c6: #be185d; --c7: #65a30d; --c8: #8a6240; --c9: #64748b;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --paper: #15171b; --card: #1d2026; --ink: #e7e8ea; --soft: #9ba2ad; --line: #343943; --accent: #8ab4ff;
            --policy: #24406e; --guide: #66470f; --up: #4ade80; --down: #f87171;
            --c0: #6ea0ff; --c1: #f5a742; --c2: #3ecf9a; --c3: #c084fc; --c4: #f87171; --c5: #38c6e0; --c6: #f472b6; --c7: #a3d34a; --c8: #c79b73; --c9: #a3aebd;
          }
        }

        """;

    /// <summary>What charts are made of.</summary>
    public const string Chart = """
        svg { font-family: ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
        svg text { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
        svg text.head { fill: var(--ink); font-size: 15px; font-weight: 600; }
        svg text.name { fill: var(--ink); }
        svg .grid { stroke: var(--line); stroke-width: 1; fill: none; }
        svg .level { stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 5 4; fill: none; }
        svg text.over { paint-order: stroke; stroke: var(--card); stroke-width: 4px; stroke-linejoin: round; }
        svg .series .line { stroke: var(--c); stroke-width: 1.9; stroke-linejoin: round; stroke-linecap: round; fill: none; }
        svg .series .band { fill: var(--c); fill-opacity: .14; stroke: none; }
        svg .series circle { fill: var(--c); }

        """;

    /// <summary>The report's page.</summary>
    public const string Page = """
        * { box-sizing: border-box; }
        html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
        body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.55; overflow-x: clip;
          font: 16px/1.55 ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
        main, header { max-width: 1240px; margin: 0 auto; padding: 0 20px; }
        header { padding-top: 44px; }
        h1 { font-size: clamp(1.6rem, 4vw, 2.2rem); line-height: 1.15; letter-spacing: -.015em; margin: 0 0 .5em; text-wrap: balance; }
        h2 { font-size: 1.35rem; letter-spacing: -.01em; margin: 2.6em 0 .3em; padding-top: .4em; border-top: 1px solid var(--line); }
        h3 { font-size: 1rem; margin: 1.6em 0 .4em; }
        .result { font-size: 1.13rem; max-width: 46em; margin: 0 0 .8em; text-wrap: pretty; }
        .note { border-left: 3px solid var(--c1); background: var(--card); padding: .6em 1em; max-width: 46em; }
        .meta, .hint, figcaption small { color: var(--soft); font-size: .88rem; }
        .hint { max-width: 52em; margin: .2em 0 1em; }
        nav { display: flex; flex-wrap: wrap; gap: .2em 1.2em; margin: 1em 0 0; font-size: .95rem; }
        a { color: var(--accent); text-underline-offset: 2px; }
        .scroll { overflow-x: auto; margin: 1em -20px; padding: 0 20px; }
        table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
        .results { min-width: 100%; } .results small { display: block; font-size: .84em; font-weight: 400; color: var(--soft); }
        th, td { text-align: right; vertical-align: top; padding: .45em .6em; border-bottom: 1px solid var(--line); white-space: nowrap; }
        thead th { color: var(--soft); font-weight: 500; vertical-align: bottom; white-space: normal; border-bottom-color: var(--soft); }
        th:first-child, td:first-child { text-align: left; padding-left: 0; }
        .results th:first-child { position: sticky; left: 0; background: var(--paper); font-weight: 600; padding-right: 1em; }
        .results tbody tr:hover > * { background: var(--card); }
        .total > * { border-top: 1px solid var(--soft); font-weight: 600; }
        .muted th:first-child { font-weight: 500; }
        .up { color: var(--up); font-weight: 600; } .down { color: var(--down); font-weight: 600; }
        dfn { font-style: normal; text-decoration: underline dotted var(--soft); text-underline-offset: 3px; cursor: help; }
        .dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; background: var(--c, var(--line)); margin-right: .5em; }
        .grid-of-charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 325px), 1fr)); gap: 14px; }
        figure { margin: 0; background: var(--card); border-radius: 10px; padding: 12px 12px 6px; }
        figcaption { font-weight: 600; font-size: .95rem; margin: 0 0 4px 4px; }
        .apart .series { display: inline !important; }
        figure svg { display: block; width: 100%; height: auto; }
        .legend { position: sticky; top: 0; z-index: 2; display: flex; flex-wrap: wrap; gap: .1em .4em; padding: .5em 0; margin: 0 0 .4em; background: var(--paper); border: 0; }
        .legend label { display: inline-flex; align-items: center; font-size: .92rem; padding: .15em .6em; border-radius: 999px; cursor: pointer; user-select: none; }
        .legend label:hover { background: var(--card); }
        .legend input { position: absolute; opacity: 0; width: 1px; height: 1px; }
        .legend label:has(input:not(:checked)) { color: var(--soft); text-decoration: line-through; }
        .legend label:has(input:not(:checked)) .dot { background: none; box-shadow: inset 0 0 0 2px var(--c); }
        .legend label:has(:focus-visible) { outline: 2px solid var(--accent); }
        .card { background: var(--card); border-radius: 10px; padding: 14px 16px; margin: 0 0 14px; }
        .text { unicode-bidi: isolate; white-space: pre-wrap; overflow-wrap: anywhere; }
        .prompt { color: var(--soft); }
        .message { display: block; }
        .message small { font-weight: 600; }
        .answers { display: grid; grid-template-columns: minmax(7em, auto) 1fr; gap: .45em 1em; margin: .8em 0 0; }
        .answers dt { font-size: .9rem; } .answers dt small { display: block; color: var(--soft); font-variant-numeric: tabular-nums; padding-left: 1.55em; }
        .answers dd { margin: 0; }
        details { margin: 0 0 10px; } summary { cursor: pointer; font-weight: 600; padding: .3em 0; }
        .tokens { position: relative; padding-bottom: 3.1em; }
        .tokens .text { line-height: 1.9; }
        .tokens .at { color: var(--soft); font-size: .85rem; }
        .tokens i, .key i { font-style: normal; border-radius: 3px; padding: .1em 0; border-bottom: 3px solid transparent; background: var(--policy); }
        .tokens i.g, .key i.g { background: var(--guide); }
        .tokens i:hover { outline: 2px solid var(--ink); }
        .tokens i:hover::after { content: attr(data-t); position: absolute; left: 0; right: 0; bottom: 0; padding: .5em 16px; border-radius: 0 0 10px 10px;
          background: var(--ink); color: var(--paper); font-size: .85rem; line-height: 1.4; font-variant-numeric: tabular-nums; white-space: normal; }
        .tokens::before { content: "Point at a token for its numbers."; position: absolute; left: 16px; bottom: .6em; color: var(--soft); font-size: .82rem; }
        .key i { padding: .1em .4em; margin-right: .6em; } .key i.p3, .key i.n3 { background: none; }
        .p1 { border-color: color-mix(in srgb, var(--up) 35%, transparent) !important; } .p2 { border-color: color-mix(in srgb, var(--up) 70%, transparent) !important; } .p3 { border-color: var(--up) !important; }
        .n1 { border-color: color-mix(in srgb, var(--down) 35%, transparent) !important; } .n2 { border-color: color-mix(in srgb, var(--down) 70%, transparent) !important; } .n3 { border-color: var(--down) !important; }
        pre { background: var(--card); border-radius: 10px; padding: 14px 16px; overflow-x: auto; font: .85rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; tab-size: 2; }
        .facts td { white-space: normal; text-align: left; } .facts th { text-align: left; font-weight: 500; color: var(--soft); }
        footer { max-width: 1240px; margin: 3em auto 2em; padding: 0 20px; color: var(--soft); font-size: .85rem; }
        @media (max-width: 560px) {
          body { font-size: 15px; } header { padding-top: 24px; }
          .answers { grid-template-columns: 1fr; gap: .1em; } .answers dd { margin-bottom: .7em; } .answers dt small { display: inline; padding-left: .4em; }
          th, td { padding: .4em .5em; }
        }
        @media print { .legend { position: static; } figure, .card { break-inside: avoid; } }

        """;

    /// <summary>One colour for each series, in turn.</summary>
    public static string SeriesColours(int count) => string.Concat(Enumerable.Range(0, count).Select(i => string.Create(CultureInfo.InvariantCulture,
        $".s{i} {{ --c: var(--c{i % Palette}); }}\n"))) + ".neutral { --c: var(--soft); }\n";

    /// <summary>Lets a page's checkboxes <c>on0</c>, <c>on1</c>, … switch the curves of a series off.</summary>
    public static string SeriesSwitches(int count) => string.Concat(Enumerable.Range(0, count).Select(i => string.Create(CultureInfo.InvariantCulture,
        $"body:has(#on{i}:not(:checked)) .series.s{i} {{ display: none; }}\n")));
}
