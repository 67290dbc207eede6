using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;
using Rlgf.Base;

namespace Rlgf.Endpoints.Caching;

/// <summary>
/// Answers that were paid for, in one file (SQLite): found again by what was asked, of which endpoint and model, in which way, and which sample. An answer is on disk before it is used. Several processes may share the
/// file; one that waits for another does so for at most half a minute.
/// </summary>
public sealed class AnswerCache : IDisposable
{
    /// <summary>Marks a file as one of these ("RLGC").</summary>
    private const int ApplicationId = 0x524C4743;
    private const int Version = 1;
    private const int SecondsToWait = 30;

    private readonly string _path;
    private readonly SqliteConnection _connection;
    private readonly Lock _lock = new();

    private AnswerCache(string path, SqliteConnection connection) => (_path, _connection) = (path, connection);

    /// <summary>Opens a cache; where there is no file, an empty one is made.</summary>
    /// <param name="path">The file.</param>
    /// <param name="mustExist">Whether a file that isn't there is an error.</param>
    /// <exception cref="InputException">The file is no cache, one of another version, damaged, or can't be opened.</exception>
    public static AnswerCache Open(string path, bool mustExist = false)
    {
        if (mustExist && !File.Exists(path)) throw new InputException($"{path}: there is no such cache");
        RequireWhole(path);
        var settings = new SqliteConnectionStringBuilder
        {
            DataSource = path, Mode = mustExist ? SqliteOpenMode.ReadWrite : SqliteOpenMode.ReadWriteCreate, DefaultTimeout = SecondsToWait, Pooling = false,
        };
        var cache = new AnswerCache(path, new SqliteConnection(settings.ToString()));
        try
        {
            cache.Guarded(() =>
            {
                cache._connection.Open();
                cache.Prepare();
                return true;
            });
            return cache;
        }
        catch
        {
            cache.Dispose();
            throw;
        }
    }

    /// <summary>An answer; null where there is none.</summary>
    /// <param name="endpoint">The endpoint.</param>
    /// <param name="question">What is asked, as JSON.</param>
    /// <param name="sample">Which sample.</param>
    /// <exception cref="InputException">The file can't be read.</exception>
    public CachedAnswer? Find(string endpoint, string question, long sample) => Guarded(() =>
    {
        using var command = Command($"SELECT {Columns} FROM answers WHERE key = $key", ("$key", KeyOf(endpoint, question, sample)));
        using var rows = command.ExecuteReader();
        return rows.Read() ? Read(rows) : null;
    });

    /// <summary>Keeps an answer, on disk when this returns. One that another process kept meanwhile stays.</summary>
    /// <returns>What is kept, with its number.</returns>
    /// <exception cref="InputException">The file can't be written.</exception>
    public CachedAnswer Add(CachedAnswer answer) => Add([answer])[0];

    /// <summary>Keeps answers as <see cref="Add(CachedAnswer)"/> does, all or none.</summary>
    internal IReadOnlyList<CachedAnswer> Add(IReadOnlyList<CachedAnswer> answers)
    {
        Guarded(() =>
        {
            using var transaction = _connection.BeginTransaction();
            foreach (var answer in answers) Insert(answer);
            transaction.Commit();
            return true;
        });
        return [.. answers.Select(answer => Find(answer.Endpoint, answer.Question, answer.Sample) ?? throw new InputException($"{_path}: an answer that was just written is not there; the file is damaged or was replaced"))];
    }

    private void Insert(CachedAnswer answer)
    {
        using var command = Command(
            """
            INSERT INTO answers (key, endpoint, model, question, sample, text, finish, prompt_tokens, completion_tokens, streamed, counted, run, written)
            VALUES ($key, $endpoint, $model, $question, $sample, $text, $finish, $prompt, $completion, $streamed, $counted, $run, $written) ON CONFLICT (key) DO NOTHING
            """,
            ("$key", KeyOf(answer.Endpoint, answer.Question, answer.Sample)), ("$endpoint", answer.Endpoint), ("$model", answer.Model), ("$question", answer.Question), ("$sample", answer.Sample),
            ("$text", answer.Text), ("$finish", answer.Finish), ("$prompt", answer.PromptTokens), ("$completion", answer.CompletionTokens), ("$streamed", answer.IsStreamed), ("$counted", answer.IsCounted),
            ("$run", answer.Run), ("$written", Time(DateTime.UtcNow)));
        command.ExecuteNonQuery();
    }

    /// <summary>How much it holds, model by model. What was found out of an endpoint is no answer that was asked for.</summary>
    /// <exception cref="InputException">The file can't be read.</exception>
    public IReadOnlyList<CacheCount> Count() => Guarded(() =>
    {
        using var command = Command($"SELECT endpoint, model, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), MIN(written), MAX(written) FROM answers WHERE {IsAnswer} GROUP BY endpoint, model ORDER BY endpoint, model");
        using var rows = command.ExecuteReader();
        var counts = new List<CacheCount>();
        while (rows.Read()) counts.Add(new(rows.GetString(0), rows.GetString(1), rows.GetInt64(2), rows.GetInt64(3), rows.GetInt64(4), TimeOf(rows.GetString(5)), TimeOf(rows.GetString(6))));
        return (IReadOnlyList<CacheCount>)counts;
    });

    /// <summary>All answers, as they are counted, in their order, read as they are asked for.</summary>
    /// <exception cref="InputException">The file can't be read.</exception>
    public IEnumerable<CachedAnswer> All()
    {
        for (long after = 0; ;)
        {
            // Part by part: who reads slowly keeps nobody from writing.
            var part = Guarded(() =>
            {
                using var command = Command($"SELECT {Columns} FROM answers WHERE number > $after AND {IsAnswer} ORDER BY number LIMIT 256", ("$after", after));
                using var rows = command.ExecuteReader();
                var read = new List<CachedAnswer>();
                while (rows.Read()) read.Add(Read(rows));
                return read;
            });
            if (part.Count == 0) yield break;
            foreach (var answer in part) yield return answer;
            after = part[^1].Number;
        }
    }

    /// <summary>Removes answers, and gives their space back.</summary>
    /// <param name="before">Those written before this, in UTC; null for whenever.</param>
    /// <param name="model">Those of a model of this name; null for any.</param>
    /// <returns>How many.</returns>
    /// <exception cref="InputException">The file can't be written.</exception>
    public int Prune(DateTime? before, string? model) => Guarded(() =>
    {
        using var transaction = _connection.BeginTransaction();
        using var delete = Command($"DELETE FROM answers WHERE {IsAnswer} AND ($before IS NULL OR written < $before) AND ($model IS NULL OR model = $model)", ("$before", before is { } time ? Time(time) : null), ("$model", model));
        var count = delete.ExecuteNonQuery();
        // What was found out of an endpoint goes with the last answer that it is needed for.
        Execute($"DELETE FROM answers WHERE NOT {IsAnswer} AND NOT EXISTS (SELECT 1 FROM answers AS other WHERE other.endpoint = answers.endpoint AND other.model = answers.model AND other.{IsAnswer})");
        transaction.Commit();
        using var vacuum = Command("VACUUM");
        vacuum.ExecuteNonQuery();
        return count;
    });

    /// <inheritdoc/>
    public void Dispose() => _connection.Dispose();

    /// <summary>Answers are found by a question that was sent, which is JSON; what was found out of an endpoint is kept under a sentence.</summary>
    private const string IsAnswer = "question LIKE '{%'";
    private const string Columns = "number, endpoint, model, question, sample, text, finish, prompt_tokens, completion_tokens, streamed, counted, run, written";

    private void Prepare()
    {
        // One file, also after a kill: the journal of SQLite's that keeps two is faster, and who copies the one loses what is in the other.
        Execute("PRAGMA synchronous = FULL");
        using var transaction = _connection.BeginTransaction();
        var (id, version) = (Number("PRAGMA application_id"), Number("PRAGMA user_version"));
        if (id == 0 && version == 0 && Number("SELECT COUNT(*) FROM sqlite_schema") == 0)
        {
            Execute(
                """
                CREATE TABLE answers (
                    number INTEGER PRIMARY KEY AUTOINCREMENT, key BLOB NOT NULL UNIQUE, endpoint TEXT NOT NULL, model TEXT NOT NULL, question TEXT NOT NULL, sample INTEGER NOT NULL, text TEXT NOT NULL,
                    finish TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, streamed INTEGER NOT NULL, counted INTEGER NOT NULL, run TEXT NOT NULL, written TEXT NOT NULL) STRICT
                """);
            Execute($"PRAGMA application_id = {ApplicationId}");
            Execute($"PRAGMA user_version = {Version}");
        }
        else if (id != ApplicationId)
        {
            throw new InputException($"{_path}: is a database of something else, and no cache of answers; name another file");
        }
        else if (version != Version)
        {
            throw new InputException($"{_path}: is a cache of version {version}, and this program has version {Version}: name another file, or use the program that made it");
        }

        transaction.Commit();
    }

    /// <summary>A file that was cut off is found out before it is used: its first page says how long it is.</summary>
    private static void RequireWhole(string path)
    {
        try
        {
            using var file = RegularFile.Open(path, FileShare.ReadWrite | FileShare.Delete);
            var header = new byte[100];
            if (file.ReadAtLeast(header, header.Length, throwOnEndOfStream: false) is var read && read == 0) return;
            var isDatabase = read == header.Length && header.AsSpan().StartsWith("SQLite format 3\0"u8);
            var pageSize = (header[16] << 8) | header[17];
            long pages = ((uint)header[28] << 24) | ((uint)header[29] << 16) | ((uint)header[30] << 8) | header[31];
            if (isDatabase && file.Length < pages * (pageSize == 1 ? 65536 : pageSize) && !File.Exists(path + "-journal"))
                throw new InputException($"{path}: is cut off: {file.Length:#,0} bytes of {pages * pageSize:#,0}; copy it again, or delete it and pay for its answers again");
        }
        catch (FileNotFoundException)
        {
            // It will be made.
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new InputException($"{path}: can't be opened: {failure.Message}", failure);
        }
    }

    private T Guarded<T>(Func<T> act)
    {
        lock (_lock)
        {
            try
            {
                return act();
            }
            catch (SqliteException failure)
            {
                throw new InputException($"{_path}: {Words(failure)}", failure);
            }
            catch (Exception failure) when (failure is FormatException or InvalidCastException or OverflowException)
            {
                throw new InputException($"{_path}: {Damaged}", failure);
            }
        }
    }

    private const string Damaged = "is damaged; copy it again, or delete it and pay for its answers again";

    private static string Words(SqliteException failure) => failure.SqliteErrorCode switch
    {
        SQLitePCL.raw.SQLITE_NOTADB => "is no cache of answers: not a database; name another file",
        SQLitePCL.raw.SQLITE_CORRUPT => Damaged,
        SQLitePCL.raw.SQLITE_BUSY or SQLitePCL.raw.SQLITE_LOCKED => $"another process has it for more than {SecondsToWait} seconds",
        SQLitePCL.raw.SQLITE_CANTOPEN => "can't be opened: is its folder there, and may this user write to it?",
        SQLitePCL.raw.SQLITE_READONLY => "can't be written: it is read-only",
        SQLitePCL.raw.SQLITE_FULL => "can't be written: the disk is full",
        _ => $"the cache can't be used: {failure.Message}",
    };

    private SqliteCommand Command(string sql, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        var command = _connection.CreateCommand();
        command.CommandText = sql;
        foreach (var (name, value) in values) command.Parameters.AddWithValue(name, value ?? DBNull.Value);
        return command;
    }

    private void Execute(string sql)
    {
        using var command = Command(sql);
        command.ExecuteNonQuery();
    }

    private long Number(string sql)
    {
        using var command = Command(sql);
        return Convert.ToInt64(command.ExecuteScalar(), CultureInfo.InvariantCulture);
    }

    private static CachedAnswer Read(SqliteDataReader row) => new()
    {
        Number = row.GetInt64(0),
        Endpoint = row.GetString(1),
        Model = row.GetString(2),
        Question = row.GetString(3),
        Sample = row.GetInt64(4),
        Text = row.GetString(5),
        Finish = row.GetString(6),
        PromptTokens = row.GetInt64(7),
        CompletionTokens = row.GetInt64(8),
        IsStreamed = row.GetBoolean(9),
        IsCounted = row.GetBoolean(10),
        Run = row.GetString(11),
        Written = TimeOf(row.GetString(12)),
    };

    /// <summary>What answers are found by. The length of each part before it: no two questions run together to one.</summary>
    private static byte[] KeyOf(string endpoint, string question, long sample) =>
        SHA256.HashData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{endpoint.Length}:{endpoint}{question.Length}:{question}{sample}")));

    private static string Time(DateTime time) => time.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    private static DateTime TimeOf(string text) => DateTime.Parse(text, CultureInfo.InvariantCulture, DateTimeStyles.AdjustToUniversal | DateTimeStyles.AssumeUniversal);
}
